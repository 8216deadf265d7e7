// What all kernels share, in the vocabulary of the preludes. The emulation has its own.
// The sum over the 2^k lanes that differ in the lowest k bits.
template <int LANES>
FN float lanes_sum(float x) {
  UNROLL for (int i = LANES / 2; i > 0; i /= 2) x += lane_xor(x, i);
  return x;
}
