argmax_merge(found, out, sizes[0], sizes[1], group, tid);
