// Helpers for tests: random numbers, and pools read and written number by number as their layout is documented.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/cpu/kv_pools.h"

namespace pippin::cpu {

inline double number_of(const void* p, Format format) {
  if (format == Format::f32) {
    float x;
    std::memcpy(&x, p, 4);
    return static_cast<double>(x);
  }
  std::uint16_t bits;
  std::memcpy(&bits, p, 2);
  if (format == Format::bf16)
    return static_cast<double>(std::bit_cast<float>(std::uint32_t{bits} << 16));
  const int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  const double magnitude =
      exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24);
  return bits & 0x8000 ? -magnitude : magnitude;
}

inline std::vector<float> random_floats(std::size_t count, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> x(count);
  for (auto& value : x) value = normal(random);
  return x;
}

class TestPools {
 public:
  TestPools(int num_pages, int page_size, int num_kv_heads, int head_dim, Format format)
      : num_slots_(num_pages * page_size),
        view_{nullptr, nullptr, format, num_kv_heads, head_dim, page_size} {
    const auto numbers = static_cast<std::size_t>(num_slots_ * num_kv_heads * head_dim);
    k_.resize(numbers * width());
    v_.resize(numbers * width());
    view_.k = k_.data();
    view_.v = v_.data();
  }
  TestPools(const TestPools&) = delete;
  TestPools& operator=(const TestPools&) = delete;

  KvPools view() const { return view_; }

  /// Every bit set: a NaN in any format.
  void fill_with_nan() {
    std::fill(k_.begin(), k_.end(), std::uint8_t{0xff});
    std::fill(v_.begin(), v_.end(), std::uint8_t{0xff});
  }

  double key(int slot, int head, int d) const {
    return number_of(k_.data() + width() * at(slot, head, d, true), view_.format);
  }
  double value(int slot, int head, int d) const {
    return number_of(v_.data() + width() * at(slot, head, d, false), view_.format);
  }

  std::vector<std::int32_t> shuffled_slots(int count, std::mt19937& random) const {
    std::vector<std::int32_t> slots(static_cast<std::size_t>(num_slots_));
    std::iota(slots.begin(), slots.end(), 0);
    std::shuffle(slots.begin(), slots.end(), random);
    slots.resize(static_cast<std::size_t>(count));
    return slots;
  }

 private:
  std::size_t width() const { return view_.format == Format::f32 ? 4 : 2; }
  std::size_t at(int slot, int head, int d, bool is_key) const {
    const int page = slot / view_.page_size, offset = slot % view_.page_size;
    const int run = (page * view_.num_kv_heads + head) * view_.page_size * view_.head_dim;
    return static_cast<std::size_t>(
        run + (is_key ? d * view_.page_size + offset : offset * view_.head_dim + d));
  }

  int num_slots_;
  std::vector<std::uint8_t> k_, v_;
  KvPools view_;
};

}  // namespace pippin::cpu
