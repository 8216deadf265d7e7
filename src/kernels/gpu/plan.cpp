#include "kernels/gpu/plan.h"

#include <mlx/primitives.h>

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>

#include "pippin/error.h"

namespace pippin::kernels::gpu {
namespace {

constexpr std::size_t alignment = 256;

// Stands for an output that only launches of a plan make.
class Placeholder final : public mx::Primitive {
 public:
  explicit Placeholder(mx::Stream stream) : mx::Primitive(stream) {}
  void eval_cpu(const std::vector<mx::array>&, std::vector<mx::array>&) override { refuse(); }
  void eval_gpu(const std::vector<mx::array>&, std::vector<mx::array>&) override { refuse(); }
  const char* name() const override { return "Placeholder"; }

 private:
  [[noreturn]] static void refuse() {
    throw Error(Code::internal, "[gpu] what is only written down has no content");
  }
};

// Whether the operation gives its first input's numbers as they lie; padding has any content in a plan, since nobody reads it.
bool is_view(const mx::array& x) {
  if (!x.has_primitive()) return false;
  const std::string_view name = x.primitive().name();
  for (const std::string_view view :
       {"Reshape", "ExpandDims", "Squeeze", "Flatten", "Unflatten", "Pad"})
    if (name == view) return true;
  return false;
}

std::size_t rounded(std::size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

// Gives out parts of memory, the first that is free and large enough.
class Room {
 public:
  std::size_t take(std::size_t bytes) {
    bytes = rounded(bytes);
    for (auto part = free_.begin(); part != free_.end(); ++part) {
      if (part->second < bytes) continue;
      const auto [begin, size] = *part;
      free_.erase(part);
      if (size > bytes) free_[begin + bytes] = size - bytes;
      return begin;
    }
    return std::exchange(end_, end_ + bytes);
  }
  void give_back(std::size_t begin, std::size_t bytes) {
    auto part = free_.emplace(begin, rounded(bytes)).first;
    if (const auto next = std::next(part);
        next != free_.end() && next->first == part->first + part->second) {
      part->second += next->second;
      free_.erase(next);
    }
    if (part == free_.begin()) return;
    const auto before = std::prev(part);
    if (before->first + before->second != part->first) return;
    before->second += part->second;
    free_.erase(part);
  }
  std::size_t end() const { return end_; }

 private:
  std::map<std::size_t, std::size_t> free_;  // begin -> bytes
  std::size_t end_ = 0;
};

}  // namespace

mx::array view_of(const mx::array& memory, std::size_t offset, mx::Shape shape, mx::Dtype dtype) {
  mx::array view(std::move(shape), dtype, nullptr, {});
  mx::Strides strides(view.shape().size(), 1);
  for (auto i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * view.shape()[i];
  mx::array::Flags flags{};
  flags.contiguous = flags.row_contiguous = true;
  flags.col_contiguous = view.size() <= 1 || view.ndim() <= 1;
  view.copy_shared_buffer(memory, strides, flags, view.size(),
                          static_cast<std::int64_t>(offset / view.itemsize()));
  view.set_status(mx::array::Status::available);
  return view;
}

Recorder::Recorder(bool writes_inputs, const std::vector<mx::array>& varying)
    : writes_inputs_(writes_inputs), kept_(varying) {
  for (const auto& x : varying) varying_.insert(x.id());
}

std::vector<mx::array> Recorder::execute(const Kernel& kernel, const Launch& launch) {
  const auto stream = mx::default_stream(mx::default_device());
  Recorded recorded{&kernel, launch, {}};
  for (std::size_t i = 0; i < launch.shapes.size(); ++i) {
    recorded.outputs.emplace_back(launch.shapes[i], launch.dtypes[i],
                                  std::make_shared<Placeholder>(stream), std::vector<mx::array>{});
    made_[recorded.outputs.back().id()] = {launches_.size(), static_cast<int>(i)};
  }
  launches_.push_back(std::move(recorded));
  return launches_.back().outputs;
}

std::optional<Recorder::Source> Recorder::source_of(const mx::array& x) const {
  for (auto at = x;; at = at.inputs().front()) {
    if (const auto found = made_.find(at.id()); found != made_.end()) return found->second;
    if (!is_view(at)) return {};
  }
}

const Launch* Recorder::made_by(const Kernel& kernel, const mx::array& x) const {
  const auto source = source_of(x);
  if (!source || source->output != 0) return nullptr;
  const auto& recorded = launches_[source->launch];
  return recorded.kernel == &kernel ? &recorded.launch : nullptr;
}

bool Recorder::varies(const mx::array& x) const {
  if (varying_.contains(x.id()) || made_.contains(x.id())) return true;
  return x.has_primitive() && std::any_of(x.inputs().begin(), x.inputs().end(),
                                          [this](const auto& input) { return varies(input); });
}

// The memory of what no launch makes.
std::optional<mx::array> Recorder::constant_of(const mx::array& x) {
  auto at = x;
  while (is_view(at) && varies(at)) at = at.inputs().front();
  if (at.has_primitive() && varies(at)) {
    refusal_ = at.primitive().name();
    return {};
  }
  if (at.has_primitive()) at.eval();
  if (at.flags().row_contiguous) return at;
  if (varies(at)) {
    refusal_ = "gaps between rows";
    return {};
  }
  at = mx::contiguous(at);
  at.eval();
  return at;
}

std::optional<Plan> Recorder::finish(const std::vector<PlanOutput>& outputs) {
  Plan plan;
  std::map<std::uintptr_t, int> places;  // of arrays, by id
  const auto place_of = [&](const mx::array& x) {
    const auto [found, is_new] = places.emplace(x.id(), static_cast<int>(plan.arrays.size()));
    if (is_new) {
      plan.arrays.push_back(x);
      plan.varies.push_back(varies(x) ? 1 : 0);
    }
    return Place{found->second};
  };
  // Which launches are needed, and the last that needs each output.
  struct Output {
    std::optional<Place> place;
    std::size_t last = 0;
    bool wanted = false;
  };
  std::vector<std::vector<Output>> needs;
  for (const auto& recorded : launches_) needs.emplace_back(recorded.outputs.size());
  std::vector<char> needed(launches_.size(), 0);
  for (const auto& output : outputs) {
    const auto source = source_of(output.made);
    if (!source) {
      refusal_ = output.made.has_primitive() ? output.made.primitive().name() : "no launch";
      return {};
    }
    auto& need = needs[source->launch][static_cast<std::size_t>(source->output)];
    need.wanted = true;
    if (output.to) need.place = place_of(*output.to);
    needed[source->launch] = 1;
  }
  for (auto i = launches_.size(); i-- > 0;) {
    if (!needed[i]) continue;
    for (const auto& input : launches_[i].launch.inputs)
      if (const auto source = source_of(input)) {
        needed[source->launch] = 1;
        auto& need = needs[source->launch][static_cast<std::size_t>(source->output)];
        need.last = std::max(need.last, i);
      }
  }
  Room room;
  std::multimap<std::size_t, std::pair<std::size_t, std::size_t>> ends;  // launch -> what it frees
  for (std::size_t i = 0; i < launches_.size(); ++i) {
    if (!needed[i]) continue;
    const auto& [kernel, launch, made] = launches_[i];
    PlannedLaunch planned{kernel,
                          {},
                          {},
                          {},
                          launch.dtypes,
                          launch.groups,
                          launch.threads,
                          launch.arguments,
                          launch.dynamic_shared};
    for (const auto& input : launch.inputs) {
      planned.in_dtypes.push_back(input.dtype());
      if (const auto source = source_of(input)) {
        planned.in.push_back(
            *needs[source->launch][static_cast<std::size_t>(source->output)].place);
        continue;
      }
      const auto constant = constant_of(input);
      if (!constant) return {};
      planned.in.push_back(place_of(*constant));
    }
    for (std::size_t o = 0; o < made.size(); ++o) {
      auto& need = needs[i][o];
      if (!need.place) {
        const auto bytes = made[o].nbytes();
        need.place = Place{-1, room.take(bytes)};
        if (!need.wanted)
          ends.emplace(std::max(need.last, i), std::pair{need.place->offset, bytes});
      }
      planned.out.push_back(*need.place);
    }
    plan.launches.push_back(std::move(planned));
    for (auto [end, last] = ends.equal_range(i); end != last; end = ends.erase(end))
      room.give_back(end->second.first, end->second.second);
  }
  for (const auto& output : outputs) {
    const auto source = *source_of(output.made);
    plan.outputs.push_back(*needs[source.launch][static_cast<std::size_t>(source.output)].place);
  }
  plan.bytes = std::max(room.end(), alignment);  // a multiple of the alignment
  return plan;
}

std::unique_ptr<Player> Executor::make_player() const { return nullptr; }

}  // namespace pippin::kernels::gpu
