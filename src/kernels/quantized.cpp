#include "kernels/cuda_linear.h"
#include "kernels/expanded.h"
#include "kernels/ops.h"

namespace pippin::kernels {
namespace {

// MLX's CPU backend multiplies quantized matrices with one scalar thread; from a few rows on,
// expanding the matrix and calling BLAS is faster (measured on two cores, 384x1024 at 8 bit: 1 row
// 0.4 ms either way, 16 rows 5.4 against 0.6 ms).
constexpr int cpu_rows_worth_expanding = 4;

// MLX 0.32.4 has a kernel of its own for Hopper (qmm_sm90), taken where one group spans a whole row
// and x has several: it returns garbage (seen on an H200: 4 and 8 bit, groups of 64 and 128, float32
// and bfloat16). Only toy matrices are that narrow, so every GPU expands them.
bool mlx_kernel_may_fail(const QuantizedWeight& w, int columns) { return columns == w.group_size; }

// On NVIDIA's GPUs, too: MLX's product of 512 rows took 53 us a matrix of Qwen3-0.6B on an H200, where expanding it and multiplying by
// tensor cores moves and computes what takes 10 to 15. Fewer rows are few_rows_linear's.
constexpr int nvidia_rows_worth_expanding = 129;

}  // namespace

bool worth_expanding(const mx::array& x, const QuantizedWeight& w) {
  if (w.global_scale) return true;  // MLX's product takes none
  if (mx::default_device() == mx::Device::cpu) return x.shape(0) >= cpu_rows_worth_expanding;
  static const bool nvidia = mx::device_info(mx::Device::gpu).contains("compute_capability_major");
  return (nvidia && x.shape(0) >= nvidia_rows_worth_expanding) ||
         mlx_kernel_may_fail(w, x.shape(1));
}

mx::array expanded(const QuantizedWeight& w, mx::Dtype dtype) {
  return mx::transpose(dequantized(w, dtype));
}

mx::array quantized_linear(const mx::array& x, const QuantizedWeight& w) {
  if (few_rows_kernel_takes(x, w)) return few_rows_linear(x, w);
  if (worth_expanding(x, w)) return mx::matmul(x, expanded(w, x.dtype()));
  return mx::quantized_matmul(x, w.weight, w.scales, w.biases, true, w.group_size, w.bits,
                              name_of(w.scheme));
}

}  // namespace pippin::kernels
