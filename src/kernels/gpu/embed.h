// Rows of a table [V, width] of 4 or 8 bits, or plain (BITS 0): out[i] is row ids[i]. Each thread makes 4 numbers.
template <typename T, int BITS>
FN void embed(DEVICE const int* ids, DEVICE const T* table, DEVICE const uint* codes,
              DEVICE const T* scales, DEVICE const T* biases, DEVICE T* out, int width,
              int group_bits, uint3 group, uint tid) {
  const int first = (int(group.x) * 256 + int(tid)) * 4;
  if (first >= width) return;
  const ulong from = ulong(ids[group.y]) * ulong(width) + ulong(first);
  const ulong to = ulong(group.y) * ulong(width) + ulong(first);
  UNROLL for (int i = 0; i < 4; ++i) {
    if (BITS == 0) {
      out[to + ulong(i)] = table[from + ulong(i)];
    } else {
      const ulong at = (from + ulong(i)) * ulong(BITS);
      const uint code = (codes[at / 32u] >> uint(at % 32u)) & ((1u << BITS) - 1u);
      const ulong scale = from >> ulong(group_bits);
      out[to + ulong(i)] = T(float(scales[scale]) * float(code) + float(biases[scale]));
    }
  }
}
