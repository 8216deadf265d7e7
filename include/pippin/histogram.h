// Counting how often a quantity fell into which range.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace pippin {

/// Plain counters in place, nanoseconds an observation: cheap enough for the engine's thread, and copied as a value. One
/// thread at a time.
class Histogram {
 public:
  static constexpr std::size_t max_bounds = 23;

  /// `bounds`: inclusive upper bounds of the ranges, ascending, at most max_bounds, kept by reference; one more range holds
  /// what is above the last.
  explicit Histogram(std::span<const double> bounds) : bounds_(bounds) {}

  void observe(double value) {
    const auto range = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
    ++counts_[static_cast<std::size_t>(range)];
    ++count_;
    sum_ += value;
  }

  std::span<const double> bounds() const { return bounds_; }
  /// Observations in each range, bounds().size() + 1 of them.
  std::span<const std::int64_t> counts() const {
    return std::span(counts_).first(bounds_.size() + 1);
  }
  std::int64_t count() const { return count_; }
  double sum() const { return sum_; }

 private:
  std::span<const double> bounds_;
  std::array<std::int64_t, max_bounds + 1> counts_{};
  std::int64_t count_ = 0;
  double sum_ = 0;
};

}  // namespace pippin
