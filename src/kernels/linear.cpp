#include "kernels/linear.h"

#include <cmath>
#include <numbers>
#include <utility>

#include "kernels/cuda_linear.h"
#include "kernels/expanded.h"
#include "kernels/gpu/activation.h"
#include "kernels/gpu/products.h"
#include "kernels/ops.h"
#include "pippin/error.h"

namespace pippin::kernels {
namespace {

// ---- the CPU's kernels

using Packed = std::vector<std::shared_ptr<const PackedWeight>>;

mx::array packed_linear(const char* name, const mx::array& x, const Packed& parts, bool gated,
                        int outputs, const LinearEpilogue& epilogue,
                        const std::optional<mx::array>& times_bias = {}) {
  if (x.dtype() != mx::float32)
    throw Error(Code::internal, "[cpu] packed weights multiply float32 only");
  std::vector<mx::array> inputs = {x};
  if (epilogue.bias) inputs.push_back(*epilogue.bias);
  if (times_bias) inputs.push_back(*times_bias);
  if (epilogue.factor) inputs.push_back(epilogue.factor->x);
  if (epilogue.residual) inputs.push_back(*epilogue.residual);
  std::vector<const cpu::PackedMatrix*> matrices;
  for (const auto& part : parts) matrices.push_back(&part->matrix);
  auto& backend = *parts.front()->backend;
  const auto run = [&](const std::vector<mx::array>& in, mx::array& out) {
    cpu::Output output{out.data<float>(), outputs};
    if (epilogue.bias) output.bias = in[1].data<float>();
    if (times_bias) output.times_bias = in[epilogue.bias ? 2 : 1].data<float>();
    if (epilogue.factor) {
      const auto& factor = in[in.size() - (epilogue.residual ? 2 : 1)];
      output.factor = factor.data<float>() + epilogue.factor->first;
      output.factor_stride = factor.shape(1);
    }
    if (epilogue.residual) output.residual = in.back().data<float>();
    output.residual_stride = outputs;
    output.activation = epilogue.activation;
    cpu::linear(backend.team, backend.kernels, backend.scratch,
                {in[0].data<float>(), in[0].shape(1), in[0].shape(0), matrices, gated, output,
                 backend.exact_activations || epilogue.exact});
  };
  return host_operation(backend, name, {x.shape(0), outputs}, mx::float32, inputs, run);
}

mx::array packed_embedding(const PackedWeight& table, const mx::array& ids) {
  const int width = table.matrix.k();
  auto& backend = *table.backend;
  const auto run = [&](const std::vector<mx::array>& in, mx::array& out) {
    const auto* id = in[0].data<std::int32_t>();
    backend.team.parallel_for(in[0].shape(0), 16, [&](std::int64_t begin, std::int64_t end, int) {
      for (auto i = begin; i < end; ++i) table.matrix.row(id[i], out.data<float>() + i * width);
    });
  };
  return host_operation(backend, "embedding", {ids.shape(0), width}, mx::float32, {ids}, run);
}

// ---- MLX's operations

gpu::Matrix matrix_of(const Weight& w) {
  if (const auto* q = w.quantized())
    return {q->weight, q->scales, q->biases, q->group_size, q->bits};
  return {*w.dense()};
}

mx::array product_by_mlx(const mx::array& x, const Weight& w) {
  if (w.quantized()) return quantized_linear(x, *w.quantized());
  return mx::matmul(x, mx::transpose(*w.dense()));
}

mx::array product(const mx::array& x, const Weight& w) {
  const auto by_mlx = [&] { return product_by_mlx(x, w); };
  auto* executor = gpu::executor();
  const auto matrix = matrix_of(w);
  if (!gpu::multiplies(executor, x, matrix)) return by_mlx();
  return gpu::proved_one(
      gpu::product_use(x, matrix, false), [&] { return gpu::product(*executor, x, matrix); },
      by_mlx);
}

// Where adds_residual().
mx::array product_plus(const mx::array& x, const Weight& w, const mx::array& residual) {
  const auto by_mlx = [&] {
    return w.quantized() && few_rows_kernel_takes(x, *w.quantized(), true)
               ? few_rows_linear(x, *w.quantized(), residual)
               : residual + product_by_mlx(x, w);
  };
  auto* executor = gpu::executor();
  const auto matrix = matrix_of(w);
  if (!gpu::multiplies(executor, x, matrix, true)) return by_mlx();
  return gpu::proved_one(
      gpu::product_use(x, matrix, true),
      [&] { return gpu::product(*executor, x, matrix, residual); }, by_mlx);
}

// Whether the product's own kernel adds the residual.
bool adds_residual(const mx::array& x, const Weight& w, const LinearEpilogue& epilogue) {
  return epilogue.residual && !epilogue.bias && !epilogue.factor &&
         epilogue.activation == Activation::none && epilogue.residual->dtype() == x.dtype() &&
         (gpu::multiplies(gpu::executor(), x, matrix_of(w), true) ||
          (w.quantized() && few_rows_kernel_takes(x, *w.quantized(), true)));
}

// Whether the product of the expanded matrix adds the residual: on a GPU, where there are many rows.
bool expands_with_residual(const mx::array& x, const Weight& w, const LinearEpilogue& epilogue) {
  return mx::default_device() == mx::Device::gpu && epilogue.residual && !epilogue.bias &&
         !epilogue.factor && epilogue.activation == Activation::none && w.quantized() &&
         epilogue.residual->dtype() == x.dtype() && !few_rows_kernel_takes(x, *w.quantized()) &&
         worth_expanding(x, *w.quantized());
}

mx::array embedding_by_mlx(const Weight& table, const mx::array& ids, mx::Dtype dtype) {
  const auto rows = [&](const mx::array& x) { return mx::take(x, ids, 0); };
  const auto* q = table.quantized();
  if (!q) return rows(*table.dense());
  auto chosen = *q;
  chosen.weight = rows(q->weight);
  chosen.scales = rows(q->scales);
  if (q->biases) chosen.biases = rows(*q->biases);
  return dequantized(chosen, dtype);
}

mx::array gelu(const mx::array& x) {
  const auto scaled = mx::erf(x * mx::array(1.0f / std::numbers::sqrt2_v<float>, x.dtype()));
  return x * mx::array(0.5f, x.dtype()) * (scaled + mx::array(1.0f, x.dtype()));
}

mx::array gelu_tanh(const mx::array& x) {
  const auto constant = [&](float value) { return mx::array(value, x.dtype()); };
  const float sqrt_2_over_pi = std::sqrt(2.0f * std::numbers::inv_pi_v<float>);
  const auto inner = constant(sqrt_2_over_pi) * (x + constant(0.044715f) * x * x * x);
  return constant(0.5f) * x * (constant(1.0f) + mx::tanh(inner));
}

}  // namespace

mx::array activate(const mx::array& x, Activation activation) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::silu:
      return x * mx::sigmoid(x);
    case Activation::gelu:
      return gelu(x);
    case Activation::gelu_tanh:
      return gelu_tanh(x);
    case Activation::relu_squared:
      return mx::square(mx::maximum(x, mx::array(0.0f, x.dtype())));
    case Activation::clipped_swiglu: {
      const auto clipped = mx::minimum(x, mx::array(7.0f, x.dtype()));
      return clipped * mx::sigmoid(mx::array(1.702f, x.dtype()) * clipped);
    }
  }
  return x;
}

mx::array gate_times(const mx::array& gate, const mx::array& up, Activation activation) {
  const auto gated = activate(gate, activation);
  if (activation != Activation::clipped_swiglu) return gated * up;
  const auto constant = [&](float value) { return mx::array(value, up.dtype()); };
  return gated * (mx::clip(up, constant(-7.0f), constant(7.0f)) + constant(1.0f));
}

mx::array softcap(const mx::array& x, float cap, const CpuBackendPtr& backend) {
  if (!backend) return mx::array(cap) * mx::tanh(x / mx::array(cap));
  const auto run = [&](const std::vector<mx::array>& in, mx::array& out) {
    const auto count = static_cast<std::int64_t>(in[0].size());
    backend->team.parallel_for(count, 16384, [&](std::int64_t begin, std::int64_t end, int) {
      backend->kernels.sampling.capped(in[0].data<float>() + begin, end - begin, cap,
                                       out.data<float>() + begin);
    });
  };
  return host_operation(*backend, "softcap", x.shape(), mx::float32, {x}, run);
}

mx::array linear(const mx::array& x, const Weight& w, const LinearEpilogue& epilogue) {
  if (const auto packed = w.packed())
    return packed_linear("linear", x, {packed}, false, w.outputs(), epilogue);
  if (adds_residual(x, w, epilogue)) return product_plus(x, w, *epilogue.residual);
  if (expands_with_residual(x, w, epilogue))
    return mx::addmm(*epilogue.residual, x, expanded(*w.quantized(), x.dtype()));
  const bool plain_with_bias = epilogue.bias && w.dense();
  auto y =
      plain_with_bias ? mx::addmm(*epilogue.bias, x, mx::transpose(*w.dense())) : product(x, w);
  if (epilogue.bias && !plain_with_bias) y = y + *epilogue.bias;
  y = activate(y, epilogue.activation);
  if (epilogue.factor) {
    const auto& [factor, first] = *epilogue.factor;
    y = y * mx::slice(factor, {0, first}, {factor.shape(0), first + w.outputs()});
  }
  return epilogue.residual ? *epilogue.residual + y : y;
}

mx::array joined_linear(const mx::array& x, const std::vector<Weight>& weights,
                        const std::optional<mx::array>& bias) {
  if (weights.size() == 1) return linear(x, weights.front(), {.bias = bias});
  if (weights.front().packed()) {
    Packed parts;
    int outputs = 0;
    for (const auto& w : weights) {
      parts.push_back(w.packed());
      outputs += w.outputs();
    }
    return packed_linear("linear", x, parts, false, outputs, {.bias = bias});
  }
  std::vector<mx::array> outputs;
  for (const auto& w : weights) outputs.push_back(product(x, w));
  auto y = mx::concatenate(std::move(outputs), -1);
  return bias ? y + *bias : y;
}

mx::array gated_linear(const mx::array& x, const Weight& gate, const Weight& up,
                       const Gate& options) {
  const auto g = gate.packed(), u = up.packed();
  if (g && u && g->matrix.same_layout(u->matrix))
    return packed_linear("gated_linear", x, {g, u}, true, gate.outputs(),
                         {.bias = options.bias, .activation = options.activation}, options.up_bias);
  // The product's own epilogue, where the activation is all that there is to do.
  if (options.activation != Activation::clipped_swiglu)
    return linear(x, gate, {.bias = options.bias, .activation = options.activation}) *
           linear(x, up, {.bias = options.up_bias});
  return gate_times(linear(x, gate, {.bias = options.bias}),
                    linear(x, up, {.bias = options.up_bias}), options.activation);
}

mx::array gated_linear(const mx::array& x, const Weight& gate_up, const Gate& options) {
  const auto both = linear(x, gate_up);
  const bool plain = options.activation == Activation::silu && !options.bias && !options.up_bias;
  const auto by_mlx = [&] {
    const auto halves = mx::split(both, 2, -1);
    const auto plus = [](const mx::array& y, const std::optional<mx::array>& bias) {
      return bias ? y + *bias : y;
    };
    return gate_times(plus(halves[0], options.bias), plus(halves[1], options.up_bias),
                      options.activation);
  };
  auto* executor = gpu::executor();
  if (!plain || !gpu::gates(executor, both)) return by_mlx();
  return gpu::proved_one(
      gpu::use_of(gpu::Operation::gate, both, both.shape(1)),
      [&] { return gpu::gated(*executor, both); }, by_mlx);
}

mx::array embedding(const Weight& table, const mx::array& ids, mx::Dtype dtype) {
  if (const auto packed = table.packed()) return packed_embedding(*packed, ids);
  const auto by_mlx = [&] { return embedding_by_mlx(table, ids, dtype); };
  auto* executor = gpu::executor();
  const auto matrix = matrix_of(table);
  const auto made = table.quantized() ? dtype : table.dense()->dtype();
  if (!gpu::embeds(executor, ids, matrix, made)) return by_mlx();
  return gpu::proved_one(
      gpu::embedding_use(ids, matrix, made),
      [&] { return gpu::embed(*executor, ids, matrix, made); }, by_mlx);
}

}  // namespace pippin::kernels
