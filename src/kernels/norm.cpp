#include "kernels/norm.h"

#include <utility>

#include "kernels/cpu/norm.h"
#include "kernels/gpu/products.h"

namespace pippin::kernels {
namespace {

using Rows = void(cpu::Team& team, const cpu::Kernels& kernels, const cpu::Norm& norm,
                  std::int64_t rows);

// bias: of a layer norm, or none.
mx::array on_host(CpuBackend& backend, Rows* rows, const mx::array& x, const mx::array& weight,
                  const std::optional<mx::array>& bias, float eps, const NormEpilogue& epilogue) {
  std::vector<mx::array> inputs = {x, weight};
  if (bias) inputs.push_back(*bias);
  if (epilogue.residual) inputs.push_back(*epilogue.residual);
  const auto run = [&](const std::vector<mx::array>& in, mx::array& out) {
    rows(backend.team, backend.kernels,
         {.x = in[0].data<float>(),
          .out = out.data<float>(),
          .weight = in[1].data<float>(),
          .bias = bias ? in[2].data<float>() : nullptr,
          .width = in[0].shape(1),
          .eps = eps,
          .residual = epilogue.residual ? in.back().data<float>() : nullptr,
          .factor = epilogue.factor},
         in[0].shape(0));
  };
  return host_operation(backend, "norm", x.shape(), mx::float32, inputs, run);
}

mx::array followed(const mx::array& y, const NormEpilogue& epilogue) {
  if (!epilogue.residual) return y;
  const auto sum = *epilogue.residual + y;
  return epilogue.factor == 1 ? sum : sum * mx::array(epilogue.factor, sum.dtype());
}

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
                   const CpuBackendPtr& backend, const NormEpilogue& epilogue) {
  if (backend) return on_host(*backend, cpu::rms_norm, x, weight, {}, eps, epilogue);
  return followed(gpu_norm(x, weight, eps), epilogue);
}

mx::array layer_norm(const mx::array& x, const mx::array& weight, const mx::array& bias, float eps,
                     const CpuBackendPtr& backend, const NormEpilogue& epilogue) {
  if (backend) return on_host(*backend, cpu::layer_norm, x, weight, bias, eps, epilogue);
  return followed(mx::fast::layer_norm(x, weight, bias, eps), epilogue);
}

}  // namespace pippin::kernels
