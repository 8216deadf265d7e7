#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <utility>

#include "kernels/emulated/emulation.h"
#include "kernels/gpu/plan.h"

namespace pippin::kernels::gpu {
namespace {

void* memory_of(const mx::array& x) { return const_cast<std::uint8_t*>(x.data<std::uint8_t>()); }

class EmulatedPlayback final : public Playback {
 public:
  explicit EmulatedPlayback(Plan plan)
      : plan_(std::move(plan)),
        memory_(mx::full({static_cast<int>(plan_.bytes / sizeof(float))}, mx::array(NAN))) {
    memory_.eval();
    for (auto& array : plan_.arrays) array.wait();
    for (const auto& launch : plan_.launches) {
      calls_.push_back({instance_of(launch.arguments), {}, {}, launch.groups, launch.threads});
      for (const auto& place : launch.in) calls_.back().in.push_back(at(place));
      for (const auto& place : launch.out) calls_.back().out.push_back(at(place));
    }
  }
  void run() override {
    for (std::size_t i = 0; i < calls_.size(); ++i) emulate(*plan_.launches[i].kernel, calls_[i]);
  }
  mx::array output(std::size_t i, mx::Shape shape, mx::Dtype dtype) const override {
    const auto& place = plan_.outputs[i];
    const auto& memory =
        place.array < 0 ? memory_ : plan_.arrays[static_cast<std::size_t>(place.array)];
    return view_of(memory, place.offset, std::move(shape), dtype);
  }

 private:
  void* at(const Place& place) const {
    if (place.array >= 0) return memory_of(plan_.arrays[static_cast<std::size_t>(place.array)]);
    return static_cast<std::uint8_t*>(memory_of(memory_)) + place.offset;
  }

  Plan plan_;
  std::vector<EmulatedCall> calls_;  // places as they were at first: pools change hands, not places
  mx::array memory_;                 // NaNs: what stays unwritten shows
};

class EmulatedPlayer final : public Player {
 public:
  std::unique_ptr<Playback> prepare(Plan plan) override {
    return std::make_unique<EmulatedPlayback>(std::move(plan));
  }
  void upload(std::span<const std::int32_t> values, const mx::array& to) override {
    std::memcpy(memory_of(to), values.data(), values.size_bytes());
  }
  void copy(const mx::array& from, const mx::array& to, int count) override {
    mx::array(from).wait();
    std::memcpy(memory_of(to), memory_of(from), static_cast<std::size_t>(count) * 4);
  }
  int ask(const mx::array& from, int count) override {
    const auto* begin = from.data<std::int32_t>();
    requests_[++last_] = {begin, begin + count};
    return last_;
  }
  std::vector<std::int32_t> read(int request) override {
    auto node = requests_.extract(request);
    return std::move(node.mapped());
  }
  void* place_of(const mx::array& x) const override {
    mx::array(x).wait();  // MLX may still be copying pages into it, on a thread of its own
    return memory_of(x);
  }

 private:
  std::map<int, std::vector<std::int32_t>> requests_;
  int last_ = 0;
};

}  // namespace

std::unique_ptr<Player> emulated_player() { return std::make_unique<EmulatedPlayer>(); }

}  // namespace pippin::kernels::gpu
