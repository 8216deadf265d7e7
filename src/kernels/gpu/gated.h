// silu(gate) * up of gate_up [rows, 2 width], gate first: [rows, width]. Each thread makes 4.
template <typename T>
FN void gated(DEVICE const T* gate_up, DEVICE T* out, int width, uint3 group, uint tid) {
  const int first = (int(group.x) * 256 + int(tid)) * 4;
  if (first >= width) return;
  const ulong row = ulong(group.y);
  float gate[4], up[4];
  load_numbers<T, 4>(gate_up + row * ulong(2 * width) + ulong(first), gate);
  load_numbers<T, 4>(gate_up + row * ulong(2 * width) + ulong(width + first), up);
  UNROLL for (int i = 0; i < 4; ++i) out[row * ulong(width) + ulong(first + i)] =
      T(gate[i] / (1.0f + exp2_fast(-1.442695041f * gate[i])) * up[i]);
}
