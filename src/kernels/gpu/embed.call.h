embed<T, BITS>(ids, (DEVICE const T*)table, (DEVICE const uint*)table, scales, biases, out,
               sizes[0], sizes[1], group, tid);
