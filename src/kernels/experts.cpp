#include "kernels/experts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/cpu/experts.h"
#include "pippin/error.h"

namespace pippin::kernels {
namespace {

// ---- the CPU's kernels

Choice route_packed(CpuBackend& backend, const mx::array& logits, const RouterOptions& options,
                    const std::optional<mx::array>& correction,
                    const std::optional<mx::array>& expert_scales) {
  const int rows = logits.shape(0);
  std::vector<mx::array> inputs = {logits};
  if (correction) inputs.push_back(*correction);
  if (expert_scales) inputs.push_back(*expert_scales);
  auto weights = host_output({rows, options.top_k}, mx::float32);
  auto chosen = host_operation(backend, "route", {rows, options.top_k}, mx::int32, inputs,
                               [&](const std::vector<mx::array>& in, mx::array& out) {
                                 cpu::route(backend.team, options, in[0].data<float>(),
                                            correction ? in[1].data<float>() : nullptr, rows,
                                            out.data<std::int32_t>(), weights.data<float>(),
                                            expert_scales ? in.back().data<float>() : nullptr);
                               });
  return {std::move(chosen), std::move(weights)};
}

mx::array packed_experts(const mx::array& x, const Choice& choice, const ExpertWeights& w,
                         const std::optional<mx::array>& residual) {
  if (x.dtype() != mx::float32)
    throw Error(Code::internal, "[cpu] packed weights multiply float32 only");
  const auto gate = w.gate.packed(), down = w.down.packed(), up = w.up ? w.up->packed() : nullptr;
  auto& backend = *gate->backend;
  std::vector<mx::array> inputs = {x, choice.experts, choice.weights};
  const auto add = [&](const std::optional<mx::array>& input) {
    if (input) inputs.push_back(*input);
    return input ? inputs.size() - 1 : 0;
  };
  const auto gate_bias = add(w.gate_bias), up_bias = add(w.up_bias), down_bias = add(w.down_bias),
             base = add(residual);
  const auto run = [&](const std::vector<mx::array>& in, mx::array& out) {
    const auto given = [&](std::size_t at) { return at ? in[at].data<float>() : nullptr; };
    cpu::experts(backend.team, backend.kernels, backend.experts_scratch,
                 {in[0].data<float>(), in[0].shape(0), in[1].data<std::int32_t>(),
                  in[2].data<float>(), in[1].shape(1), gate->matrices, up ? &up->matrices : nullptr,
                  down->matrices, given(gate_bias), given(up_bias), given(down_bias), w.activation,
                  backend.exact_activations, given(base), out.data<float>()});
  };
  return host_operation(backend, "experts", x.shape(), mx::float32, inputs, run);
}

mx::array add_gated_on_host(CpuBackend& backend, const std::optional<mx::array>& residual,
                            const mx::array& y, const mx::array& gate) {
  std::vector<mx::array> inputs = {y, gate};
  if (residual) inputs.push_back(*residual);
  const int width = y.shape(1);
  const auto run = [&](const std::vector<mx::array>& in, mx::array& out) {
    backend.team.parallel_for(y.shape(0), 16, [&](std::int64_t begin, std::int64_t end, int) {
      for (auto row = begin; row < end; ++row) {
        const float factor = 1 / (1 + std::exp(-in[1].data<float>()[row]));
        const auto at = row * width;
        for (auto i = at; i < at + width; ++i)
          out.data<float>()[i] =
              (residual ? in[2].data<float>()[i] : 0) + factor * in[0].data<float>()[i];
      }
    });
  };
  return host_operation(backend, "add_gated", y.shape(), mx::float32, inputs, run);
}

// ---- MLX's operations

mx::array without_poor_groups(const mx::array& ranks, const RouterOptions& o) {
  const int size = o.num_experts / o.groups;
  const auto grouped = mx::reshape(ranks, {-1, o.groups, size});
  const auto sums = mx::sum(mx::topk(grouped, std::min(o.group_best, size), -1), -1, true);
  const auto order = mx::argsort(mx::negative(sums), 1);
  const auto place = mx::argsort(order, 1);  // of each group among the sums
  const auto kept = mx::less(place, mx::array(o.kept_groups, place.dtype()));
  const mx::array lowest(-std::numeric_limits<float>::infinity());
  return mx::reshape(mx::where(kept, grouped, lowest), ranks.shape());
}

// x [S, 1, K] by matrix indices[s] of the bank: [S, 1, N].
mx::array product(const mx::array& x, const Bank& bank, const mx::array& indices, bool sorted,
                  const std::optional<mx::array>& bias) {
  const auto* q = bank.quantized();
  // MLX's product takes a scale of a whole matrix on GPUs alone.
  if (q && q->global_scale && mx::default_device() == mx::Device::cpu)
    return product(x, dequantized(*q, x.dtype()), indices, sorted, bias);
  auto y = q ? mx::gather_qmm(x, q->weight, q->scales, q->biases, std::nullopt, indices, true,
                              q->group_size, q->bits, name_of(q->scheme), q->global_scale, sorted)
             : mx::gather_mm(x, mx::swapaxes(*bank.dense(), -1, -2), std::nullopt, indices, sorted);
  return bias ? y + mx::expand_dims(mx::take(*bias, indices, 0), -2) : y;
}

// A row of y for each (token, expert): x [S, K] -> [S, K].
mx::array each_expert(const mx::array& x, const mx::array& indices, bool sorted,
                      const ExpertWeights& w) {
  // Not expand_dims, whose rows are 1 number apart as far as MLX's CUDA product of sorted rows knows.
  const auto rows = mx::reshape(x, {x.shape(0), 1, x.shape(1)});
  const auto gate = product(rows, w.gate, indices, sorted, w.gate_bias);
  const auto hidden =
      w.up ? gate_times(gate, product(rows, *w.up, indices, sorted, w.up_bias), w.activation)
           : activate(gate, w.activation);
  return mx::squeeze(product(hidden, w.down, indices, sorted, w.down_bias), -2);
}

}  // namespace

Choice route(const mx::array& logits, const RouterOptions& o,
             const std::optional<mx::array>& correction, const CpuBackendPtr& backend,
             const std::optional<mx::array>& expert_scales) {
  if (backend) return route_packed(*backend, logits, o, correction, expert_scales);
  auto scores = mx::astype(logits, mx::float32);
  if (o.scores == RouterScores::softmax) scores = mx::softmax(scores, -1, true);
  if (o.scores == RouterScores::sigmoid) scores = mx::sigmoid(scores);
  auto ranks = correction ? scores + *correction : scores;
  if (o.kept_groups < o.groups) ranks = without_poor_groups(ranks, o);
  const auto order = mx::argpartition(mx::negative(ranks), o.top_k - 1, -1);
  const auto chosen = mx::slice(order, {0, 0}, {order.shape(0), o.top_k});
  auto weights = mx::take_along_axis(scores, chosen, -1);
  if (o.scores == RouterScores::softmax_of_chosen) weights = mx::softmax(weights, -1, true);
  if (o.normalize) weights = weights / (mx::sum(weights, -1, true) + mx::array(1e-20f));
  if (o.scale != 1) weights = weights * mx::array(o.scale);
  if (expert_scales) weights = weights * mx::take(*expert_scales, chosen, 0);
  return {mx::astype(chosen, mx::int32), weights};
}

mx::array experts(const mx::array& x, const Choice& choice, const ExpertWeights& w,
                  const std::optional<mx::array>& residual) {
  if (w.gate.packed()) return packed_experts(x, choice, w, residual);
  const int tokens = x.shape(0), k = choice.experts.shape(1), slots = tokens * k;
  const auto flat = mx::flatten(choice.experts);
  // From some rows on it pays to have an expert's side by side.
  const bool sorts = slots >= 64;
  const auto order = sorts ? mx::argsort(flat) : mx::arange(slots, mx::uint32);
  const auto token = mx::floor_divide(order, mx::array(k, order.dtype()));
  auto y = each_expert(mx::take(x, token, 0), mx::take(flat, order, 0), sorts, w);
  if (sorts) y = mx::take(y, mx::argsort(order), 0);
  const auto weights = mx::astype(mx::expand_dims(choice.weights, -1), x.dtype());
  const auto sum = mx::sum(mx::reshape(y, {tokens, k, -1}) * weights, 1);
  return residual ? *residual + sum : sum;
}

mx::array add_gated(const std::optional<mx::array>& residual, const mx::array& y,
                    const mx::array& gate, const CpuBackendPtr& backend) {
  if (backend) return add_gated_on_host(*backend, residual, y, gate);
  const auto gated = mx::sigmoid(gate) * y;
  return residual ? *residual + gated : gated;
}

}  // namespace pippin::kernels
