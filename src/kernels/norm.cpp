#include "kernels/norm.h"

#include "kernels/cpu/norm.h"
#include "kernels/gpu/products.h"

namespace pippin::kernels {

namespace {

mx::array gpu_norm(const mx::array& x, const mx::array& weight, float eps) {
  const auto by_mlx = [&] { return mx::fast::rms_norm(x, weight, eps); };
  auto* executor = gpu::executor();
  if (!gpu::norms(executor, x, weight)) return by_mlx();
  return gpu::proved_one(
      gpu::use_of(gpu::Operation::norm, x, x.shape(1)),
      [&] { return gpu::rms_norm(*executor, x, weight, eps); }, by_mlx);
}

}  // namespace

mx::array rms_norm(const mx::array& x, const mx::array& weight, float eps,
                   const CpuBackendPtr& backend) {
  if (!backend) return gpu_norm(x, weight, eps);
  const auto run = [&](const std::vector<mx::array>& in, mx::array& out) {
    cpu::rms_norm(backend->team, backend->kernels,
                  {.x = in[0].data<float>(),
                   .out = out.data<float>(),
                   .weight = in[1].data<float>(),
                   .width = in[0].shape(1),
                   .eps = eps},
                  in[0].shape(0));
  };
  return host_operation(*backend, "norm", x.shape(), mx::float32, {x, weight}, run);
}

mx::array layer_norm(const mx::array& x, const mx::array& weight, const mx::array& bias, float eps,
                     const CpuBackendPtr& backend) {
  if (!backend) return mx::fast::layer_norm(x, weight, bias, eps);
  const auto run = [&](const std::vector<mx::array>& in, mx::array& out) {
    cpu::layer_norm(backend->team, backend->kernels,
                    {.x = in[0].data<float>(),
                     .out = out.data<float>(),
                     .weight = in[1].data<float>(),
                     .bias = in[2].data<float>(),
                     .width = in[0].shape(1),
                     .eps = eps},
                    in[0].shape(0));
  };
  return host_operation(*backend, "norm", x.shape(), mx::float32, {x, weight, bias}, run);
}

}  // namespace pippin::kernels
