SHARED_ARRAY(T, staged, STAGE > 0 ? 24576 / SIZE_OF(T) : 1);
SHARED_ARRAY(float, squares, 8 * M);
const ProductShape shape = {sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], numbers[0]};
product<T, BITS, M, R, STAGE, GATED>(x, (DEVICE const uint*)w, scales, biases, norm, residual, out,
                                     staged, squares, shape, group, tid);
