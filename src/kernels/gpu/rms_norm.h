// x / rms(x) * weight of rows of `width` numbers: a group a row.
template <typename T>
FN void rms_norm(DEVICE const T* x, DEVICE const T* weight, DEVICE T* out, SHARED float* squares,
                 int width, float eps, uint3 group, uint tid) {
  const ulong row = ulong(group.x) * ulong(width);
  float sum = 0.0f;
  for (int i = int(tid); i < width; i += 256) {
    const float number = float(x[row + ulong(i)]);
    sum += number * number;
  }
  const float warp = lanes_sum<32>(sum);
  if (tid % 32 == 0) squares[tid / 32] = warp;
  group_barrier();
  float all = 0.0f;
  UNROLL for (int i = 0; i < 8; ++i) all += squares[i];
  const float factor = rsqrt_fast(all / float(width) + eps);
  for (int i = int(tid); i < width; i += 256)
    out[row + ulong(i)] = T(float(x[row + ulong(i)]) * factor * float(weight[i]));
}
