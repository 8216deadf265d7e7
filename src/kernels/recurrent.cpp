#include "kernels/recurrent.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/recurrent.h"

namespace pippin::kernels {
namespace {

// The parts of the slots in `states`, each state_size floats.
std::vector<cpu::StatePart> parts_in(const mx::array& states, std::span<const StateRows> parts) {
  auto* memory = const_cast<float*>(states.data<float>());
  const auto size = states.size() / static_cast<std::size_t>(states.shape(0));
  const auto at = [&](std::int32_t slot) {
    return slot < 0 ? nullptr : memory + static_cast<std::size_t>(slot) * size;
  };
  std::vector<cpu::StatePart> all;
  for (const auto& part : parts)
    all.push_back({at(part.slot), at(part.save), part.first_row, part.rows});
  return all;
}

mx::array slice_axis(const mx::array& x, int axis, int begin, int end) {
  mx::Shape from(x.ndim(), 0), to = x.shape();
  from[static_cast<std::size_t>(axis)] = begin;
  to[static_cast<std::size_t>(axis)] = end;
  return mx::slice(x, from, to);
}

}  // namespace

mx::array short_conv(const mx::array& x, const ShortConv& conv, std::span<const StateRows> parts,
                     mx::array& states, CpuBackend& backend, int first) {
  const int width = conv.weight.shape(1);
  std::vector<mx::array> inputs = {x, conv.weight, states};
  if (conv.bias) inputs.push_back(*conv.bias);
  const auto run = [&](const std::vector<mx::array>& in, mx::array& out) {
    const auto all = parts_in(in[2], parts);
    cpu::ShortConv args{};
    args.x = in[0].data<float>() + first;
    args.x_stride = in[0].shape(1);
    args.gated = conv.gated;
    args.silu = conv.silu;
    args.weight = in[1].data<float>();
    args.bias = conv.bias ? in[3].data<float>() : nullptr;
    args.width = width;
    args.taps = conv.weight.shape(0);
    args.parts = all.data();
    args.num_parts = static_cast<int>(all.size());
    args.out = out.data<float>();
    cpu::short_conv(backend.team, backend.kernels, args);
  };
  return host_operation(backend, "short_conv", {x.shape(0), width}, mx::float32, inputs, run);
}

std::pair<mx::array, mx::array> short_conv_rows(const mx::array& x, const mx::array& past,
                                                const ShortConv& conv) {
  const int taps = conv.weight.shape(0), width = conv.weight.shape(1), rows = x.shape(1);
  const auto part = [&](int i) { return slice_axis(x, 2, i * width, (i + 1) * width); };
  const auto u = conv.gated ? part(0) * part(2) : x;
  const auto all = mx::concatenate({mx::astype(past, u.dtype()), u}, 1);
  auto y = conv.bias ? mx::astype(*conv.bias, mx::float32) : mx::array(0.0f);
  for (int t = 0; t < taps; ++t)
    y = y + mx::astype(slice_axis(conv.weight, 0, t, t + 1), mx::float32) *
                mx::astype(slice_axis(all, 1, t, t + rows), mx::float32);
  if (conv.gated) y = y * mx::astype(part(1), mx::float32);
  if (conv.silu) y = y * mx::sigmoid(y);
  return {mx::astype(y, x.dtype()), slice_axis(all, 1, rows, rows + taps - 1)};
}

mx::array gated_delta(const GatedDelta& rows, std::span<const StateRows> parts, mx::array& states,
                      CpuBackend& backend) {
  const auto run = [&](const std::vector<mx::array>& in, mx::array& out) {
    const auto all = parts_in(in[5], parts);
    cpu::GatedDelta args{};
    args.q = in[0].data<float>();
    args.k = in[1].data<float>();
    args.v = in[2].data<float>();
    args.q_stride = args.k_stride = in[0].shape(1) * in[0].shape(2);
    args.v_stride = in[2].shape(1) * in[2].shape(2);
    args.decay = in[3].data<float>();
    args.beta = in[4].data<float>();
    args.num_key_heads = in[0].shape(1);
    args.num_value_heads = in[2].shape(1);
    args.key_dim = in[0].shape(2);
    args.value_dim = in[2].shape(2);
    args.parts = all.data();
    args.num_parts = static_cast<int>(all.size());
    args.out = out.data<float>();
    cpu::gated_delta(backend.team, backend.kernels, args);
  };
  return host_operation(backend, "gated_delta", rows.v.shape(), mx::float32,
                        {rows.q, rows.k, rows.v, rows.decay, rows.beta, states}, run);
}

mx::array state_scan(const mx::array& rows, const mx::array& steps, int first,
                     const StateScan& scan, std::span<const StateRows> parts, mx::array& states,
                     CpuBackend& backend) {
  const auto run = [&](const std::vector<mx::array>& in, mx::array& out) {
    const auto all = parts_in(in[2], parts);
    const int inner = scan.num_heads * scan.head_dim;
    cpu::StateScan args{};
    args.x = in[0].data<float>();
    args.b = args.x + inner;
    args.c = args.b + scan.num_groups * scan.state_dim;
    args.row_stride = in[0].shape(1);
    args.step = in[1].data<float>() + first;
    args.step_stride = in[1].shape(1);
    args.step_bias = in[3].data<float>();
    args.rate = in[4].data<float>();
    args.skip = in[5].data<float>();
    args.min_step = scan.min_step;
    args.max_step = scan.max_step;
    args.num_heads = scan.num_heads;
    args.num_groups = scan.num_groups;
    args.head_dim = scan.head_dim;
    args.state_dim = scan.state_dim;
    args.parts = all.data();
    args.num_parts = static_cast<int>(all.size());
    args.out = out.data<float>();
    cpu::state_scan(backend.team, backend.kernels, args);
  };
  return host_operation(backend, "state_scan", {rows.shape(0), scan.num_heads * scan.head_dim},
                        mx::float32, {rows, steps, states, scan.step_bias, scan.rate, scan.skip},
                        run);
}

namespace {

// Rows that MLX's operations take at once: their products grow with the square.
constexpr int rows_of_chunk = 64;

// A chunk's rows by head, float32: x (times dt) [B, H, R, Dh], b and c [B, H, R, N], log_decay [B, H, R].
struct ScanRows {
  mx::array x, b, c, log_decay;

  ScanRows chunk(int begin, int end) const {
    const auto part = [&](const mx::array& all) { return slice_axis(all, 2, begin, end); };
    return {part(x), part(b), part(c), part(log_decay)};
  }
};

// Every row sees the rows before it by what is left of them, and the state before the chunk.
std::pair<mx::array, mx::array> scan_chunk(const ScanRows& rows, const mx::array& state) {
  const int count = rows.x.shape(2);
  const auto past = mx::cumsum(rows.log_decay, 2);  // of all rows up to one
  const auto last = slice_axis(past, 2, count - 1, count);
  const auto between = mx::expand_dims(past, 3) - mx::expand_dims(past, 2);
  const auto sees = mx::tri(count, count, 0, mx::bool_);
  const auto left =
      mx::where(sees, mx::exp(mx::where(sees, between, mx::array(0.0f))), mx::array(0.0f));
  const auto known = mx::matmul(rows.c, mx::swapaxes(rows.b, 2, 3)) * left;
  const auto y =
      mx::matmul(known, rows.x) + mx::expand_dims(mx::exp(past), 3) * mx::matmul(rows.c, state);
  const auto kept = rows.b * mx::expand_dims(mx::exp(last - past), 3);
  return {y,
          mx::expand_dims(mx::exp(last), 3) * state + mx::matmul(mx::swapaxes(kept, 2, 3), rows.x)};
}

}  // namespace

std::pair<mx::array, mx::array> state_scan_rows(const mx::array& rows, const mx::array& steps,
                                                const mx::array& state, const StateScan& scan) {
  const int batch = rows.shape(0), count = rows.shape(1);
  const int heads = scan.num_heads, inner = heads * scan.head_dim,
            shared = scan.num_groups * scan.state_dim;
  const auto by_head = [&](int begin, int end, int parts) {
    const auto part = mx::astype(slice_axis(rows, 2, begin, end), mx::float32);
    return mx::swapaxes(mx::reshape(part, {batch, count, parts, -1}), 1, 2);
  };
  const auto repeated = [&](const mx::array& x) {
    return mx::repeat(x, heads / scan.num_groups, 1);
  };
  const auto wide = mx::astype(steps, mx::float32) + scan.step_bias;
  auto dt = mx::logaddexp(wide, mx::array(0.0f));
  dt = mx::swapaxes(mx::clip(dt, mx::array(scan.min_step), mx::array(scan.max_step)), 1, 2);
  const auto x = by_head(0, inner, heads);
  const ScanRows all{x * mx::expand_dims(dt, 3),
                     repeated(by_head(inner, inner + shared, scan.num_groups)),
                     repeated(by_head(inner + shared, inner + 2 * shared, scan.num_groups)),
                     dt * mx::reshape(mx::negative(scan.rate), {1, heads, 1})};
  std::vector<mx::array> results;
  auto after = state;
  for (int begin = 0; begin < count; begin += rows_of_chunk) {
    auto [y, next] = scan_chunk(all.chunk(begin, std::min(begin + rows_of_chunk, count)), after);
    results.push_back(std::move(y));
    after = std::move(next);
  }
  const auto y = mx::concatenate(results, 2) + x * mx::reshape(scan.skip, {1, heads, 1, 1});
  return {mx::reshape(mx::swapaxes(y, 1, 2), {batch, count, inner}), after};
}

namespace {

mx::array gated_norm_on_host(CpuBackend& backend, const mx::array& x, const mx::array& gates,
                             int first, const GatedNorm& norm) {
  std::vector<mx::array> inputs = {x, gates};
  if (norm.weight) inputs.push_back(*norm.weight);
  const auto run = [&](const std::vector<mx::array>& in, mx::array& out) {
    cpu::GatedNorm args{};
    args.x = in[0].data<float>();
    args.gate = in[1].data<float>() + first;
    args.gate_stride = in[1].shape(1);
    args.weight = norm.weight ? in[2].data<float>() : nullptr;
    args.weight_by_group = norm.weight && norm.weight->shape(0) != norm.width;
    args.gate_first = norm.gate_first;
    args.groups = norm.groups;
    args.width = norm.width;
    args.eps = norm.eps;
    args.out = out.data<float>();
    cpu::gated_norm(backend.team, backend.kernels, args, x.shape(0));
  };
  return host_operation(backend, "gated_norm", {x.shape(0), norm.groups * norm.width}, mx::float32,
                        inputs, run);
}

mx::array normed(const mx::array& x, const GatedNorm& norm) {
  if (!norm.weight) return x;
  const auto weight = mx::astype(*norm.weight, mx::float32);
  const auto groups = mx::fast::rms_norm(mx::reshape(x, {x.shape(0), norm.groups, norm.width}),
                                         std::nullopt, norm.eps);
  const bool shared = weight.shape(0) == norm.width;
  const auto scale = shared ? weight : mx::reshape(weight, {norm.groups, norm.width});
  return mx::reshape(groups * scale, x.shape());
}

}  // namespace

mx::array gated_norm(const mx::array& x, const mx::array& gates, int first, const GatedNorm& norm,
                     const CpuBackendPtr& backend) {
  if (backend) return gated_norm_on_host(*backend, x, gates, first, norm);
  const int width = norm.groups * norm.width;
  const auto z = mx::astype(slice_axis(gates, 1, first, first + width), mx::float32);
  const auto gate = z * mx::sigmoid(z);
  const auto rows = mx::astype(mx::reshape(x, {x.shape(0), width}), mx::float32);
  const auto y = norm.gate_first ? normed(rows * gate, norm) : normed(rows, norm) * gate;
  return mx::astype(y, gates.dtype());
}

}  // namespace pippin::kernels
