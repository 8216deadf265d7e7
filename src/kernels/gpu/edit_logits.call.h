SHARED_ARRAY(float, shared, 4096);
edit_logits<T, O>(x, rows, edits, masks, out, shared, sizes[0], sizes[1], group, tid);
