SHARED_ARRAY(S, staged, STAGE > 0 ? 24576 / SIZE_OF(S) : 1);
SHARED_ARRAY(float, sums, STAGE > 0 && BITS > 0 ? 24576 / SIZE_OF(S) * BITS / 128 : 1);
SHARED_ARRAY(float, squares, 8 * M);
const ProductShape shape = {sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], numbers[0]};
product<T, S, BITS, M, R, STAGE, GATED>(x, (DEVICE const uint*)w, scales, biases, norm, residual,
                                        out, staged, sums, squares, shape, group, tid);
