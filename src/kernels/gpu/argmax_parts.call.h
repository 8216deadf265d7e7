SHARED_ARRAY(float, shared, 16);
argmax_parts<T>(x, found, shared, sizes[0], sizes[1], group, tid);
