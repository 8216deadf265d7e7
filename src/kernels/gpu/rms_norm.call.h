SHARED_ARRAY(float, squares, 8);
rms_norm<T>(x, weight, out, squares, sizes[0], numbers[0], group, tid);
