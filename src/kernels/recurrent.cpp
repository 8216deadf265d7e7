#include "kernels/recurrent.h"

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
                     mx::array& states, CpuBackend& backend) {
  const int width = conv.weight.shape(1);
  std::vector<mx::array> inputs = {x, conv.weight, states};
  if (conv.bias) inputs.push_back(*conv.bias);
  const auto run = [&](const std::vector<mx::array>& in, mx::array& out) {
    const auto all = parts_in(in[2], parts);
    cpu::ShortConv args{};
    args.x = in[0].data<float>();
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

}  // namespace pippin::kernels
