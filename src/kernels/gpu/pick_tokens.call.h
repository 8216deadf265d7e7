pick_tokens(known, from, sampled, out, sizes[0], tid);
