#include "nn/recurrent.h"

#include <utility>

namespace pippin::nn {
namespace {

class ShortConvMixer final : public RecurrentMixer {
 public:
  ShortConvMixer(const ShortConvConfig& c, int hidden_size, Checkpoint& checkpoint,
                 const std::string& name)
      : in_proj_(Linear::load(checkpoint, name + ".in_proj", hidden_size, 3 * c.width, c.bias)),
        out_proj_(Linear::load(checkpoint, name + ".out_proj", c.width, hidden_size, c.bias)),
        conv_{load_conv_weight(checkpoint, name + ".conv", c.width, c.taps)},
        cpu_(checkpoint.cpu()) {
    if (c.bias) conv_.bias = checkpoint.take(name + ".conv.bias", {c.width});
    conv_.gated = true;
  }

  mx::array operator()(const mx::array& x, std::span<const kernels::StateRows> parts,
                       const LayerSlots& slots) const override {
    const auto bcx = in_proj_(x);
    if (cpu_) return kernels::short_conv(bcx, conv_, parts, slots.pool(0), *cpu_);
    return by_groups(bcx, parts, slots, 1, [&](const mx::array& rows, auto& states) {
      auto [y, state] = kernels::short_conv_rows(rows, states[0], conv_);
      states[0] = std::move(state);
      return y;
    });
  }

  const Linear& out_proj() const override { return out_proj_; }

 private:
  Linear in_proj_, out_proj_;
  kernels::ShortConv conv_;
  kernels::CpuBackendPtr cpu_;
};

mx::array rows_of(const mx::array& x, int begin, int end) {
  mx::Shape from(x.ndim(), 0), to = x.shape();
  from[0] = begin;
  to[0] = end;
  return mx::slice(x, from, to);
}

std::vector<std::int32_t> slots_of(std::span<const kernels::StateRows> parts) {
  std::vector<std::int32_t> slots;
  for (const auto& part : parts) slots.push_back(part.slot);
  return slots;
}

// The snapshots of a group's states.
void save(std::span<const kernels::StateRows> group, const LayerSlots& slots, std::size_t tensor,
          const mx::array& states) {
  for (std::size_t i = 0; i < group.size(); ++i)
    if (group[i].save >= 0)
      slots.write(tensor, {group[i].save},
                  rows_of(states, static_cast<int>(i), static_cast<int>(i) + 1));
}

}  // namespace

std::vector<std::span<const kernels::StateRows>> groups_of(
    std::span<const kernels::StateRows> parts) {
  std::vector<std::span<const kernels::StateRows>> groups;
  for (std::size_t begin = 0, end = 0; begin < parts.size(); begin = end) {
    for (end = begin + 1; end < parts.size() && parts[begin].rows == 1 && parts[end].rows == 1 &&
                          parts[end].slot != parts[end - 1].slot;)
      ++end;
    groups.push_back(parts.subspan(begin, end - begin));
  }
  return groups;
}

mx::array by_groups(const mx::array& x, std::span<const kernels::StateRows> parts,
                    const LayerSlots& slots, std::size_t num_tensors, const GroupBody& body) {
  std::vector<mx::array> results;
  for (const auto& group : groups_of(parts)) {
    const int count = static_cast<int>(group.size()), rows = group.front().rows;
    const int first = group.front().first_row;
    auto shape = x.shape();
    shape[0] = rows;
    shape.insert(shape.begin(), count);
    std::vector<mx::array> states;
    const auto places = slots_of(group);
    for (std::size_t i = 0; i < num_tensors; ++i) states.push_back(slots.read(i, places));
    const auto y = body(mx::reshape(rows_of(x, first, first + count * rows), shape), states);
    results.push_back(mx::reshape(y, {count * rows, -1}));
    for (std::size_t i = 0; i < num_tensors; ++i) {
      slots.write(i, places, states[i]);
      save(group, slots, i, states[i]);
    }
  }
  return results.size() == 1 ? results.front() : mx::concatenate(results, 0);
}

mx::array columns(const mx::array& x, int begin, int end) {
  mx::Shape from(x.ndim(), 0), to = x.shape();
  from.back() = begin;
  to.back() = end;
  return mx::slice(x, from, to);
}

RecurrentState short_conv_state(const ShortConvConfig& c, mx::Dtype dtype) {
  return {{{"conv", {c.taps - 1, c.width}, dtype}}};
}

std::unique_ptr<RecurrentMixer> load_short_conv(const ShortConvConfig& config, int hidden_size,
                                                Checkpoint& checkpoint, const std::string& name) {
  return std::make_unique<ShortConvMixer>(config, hidden_size, checkpoint, name);
}

mx::array load_conv_weight(Checkpoint& checkpoint, const std::string& name, int width, int taps) {
  const auto tensor = name + ".weight";
  const bool mlx = checkpoint.shape(tensor) == mx::Shape{width, taps, 1};
  const auto weight =
      checkpoint.take(tensor, mlx ? mx::Shape{width, taps, 1} : mx::Shape{width, 1, taps});
  auto by_tap = mx::contiguous(mx::transpose(mx::reshape(weight, {width, taps})));
  by_tap.eval();
  return by_tap;
}

}  // namespace pippin::nn
