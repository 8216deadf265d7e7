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
#include "kernels/cpu/types.h"

namespace pippin::cpu {

inline double number_of(const void* p, KvFormat format) {
  if (format == KvFormat::f32) {
    float x;
    std::memcpy(&x, p, 4);
    return static_cast<double>(x);
  }
  std::uint16_t bits;
  std::memcpy(&bits, p, 2);
  if (format == KvFormat::bf16)
    return static_cast<double>(std::bit_cast<float>(std::uint32_t{bits} << 16));
  const int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  const double magnitude =
      exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24);
  return bits & 0x8000 ? -magnitude : magnitude;
}

/// x rounded to eight significant bits, ties to even: what bf16 holds.
inline float nearest_bf16(float x) {
  if (x == 0) return x;
  const int shift = 7 - std::ilogb(x);
  return std::ldexp(std::nearbyint(std::ldexp(x, shift)), -shift);
}

inline std::vector<float> random_floats(std::size_t count, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> x(count);
  for (auto& value : x) value = normal(random);
  return x;
}

/// The inverse of the quantized pools' rotation, number by number: x_i = s_i sum_j H_ij y_j / sqrt(B).
inline std::vector<double> turn_back(const std::vector<double>& y, int block_size) {
  const auto block = static_cast<std::size_t>(block_size);
  std::vector<double> x;
  for (std::size_t i = 0; i < y.size(); ++i) {
    double sum = 0;
    for (std::size_t j = i / block * block; j < (i / block + 1) * block; ++j)
      sum += std::popcount(i % block & j % block) % 2 ? -y[j] : y[j];
    x.push_back(static_cast<double>(rotation_sign(static_cast<int>(i))) * sum /
                std::sqrt(static_cast<double>(block)));
  }
  return x;
}

class TestPools {
 public:
  TestPools(int num_pages, int page_size, int num_kv_heads, int head_dim, KvFormat format,
            int value_dim = 0, bool values_in_keys = false)
      : num_slots_(num_pages * page_size), view_{nullptr,  nullptr,   format,    num_kv_heads,
                                                 head_dim, page_size, value_dim, values_in_keys} {
    const auto bytes = [&](int dim) {
      return static_cast<std::size_t>(num_slots_ * num_kv_heads * kv_row_bytes(format, dim));
    };
    k_.resize(bytes(head_dim));
    v_.resize(values_in_keys ? 0 : bytes(view_.value_dim()));
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

  /// As stored: of quantized pools, of the rotated head.
  double key(int slot, int head, int d) const { return number(k_, slot, head, d, true); }
  double value(int slot, int head, int d) const {
    return view_.values_in_keys ? key(slot, head, d) : number(v_, slot, head, d, false);
  }

  /// All numbers of a head, turned back where they are rotated.
  std::vector<double> key(int slot, int head) const { return whole(slot, head, true); }
  std::vector<double> value(int slot, int head) const { return whole(slot, head, false); }

  /// What a quantized key's or value's levels are multiplied by.
  double key_scale(int slot, int head) const {
    return scale(run(k_, view_.head_dim, slot, head), view_.head_dim, slot);
  }
  double value_scale(int slot, int head) const {
    return scale(run(v_, view_.value_dim(), slot, head), view_.value_dim(), slot);
  }

  std::vector<std::int32_t> shuffled_slots(int count, std::mt19937& random) const {
    std::vector<std::int32_t> slots(static_cast<std::size_t>(num_slots_));
    std::iota(slots.begin(), slots.end(), 0);
    std::shuffle(slots.begin(), slots.end(), random);
    slots.resize(static_cast<std::size_t>(count));
    return slots;
  }

 private:
  const std::uint8_t* run(const std::vector<std::uint8_t>& pool, int dim, int slot,
                          int head) const {
    const int bytes = view_.page_size * kv_row_bytes(view_.format, dim);
    return pool.data() + (slot / view_.page_size * view_.num_kv_heads + head) * bytes;
  }

  double scale(const std::uint8_t* run, int dim, int slot) const {
    const int code_bytes = kv_row_bytes(view_.format, dim) - 2;
    return number_of(run + view_.page_size * code_bytes + slot % view_.page_size * 2,
                     KvFormat::bf16);
  }

  double number(const std::vector<std::uint8_t>& pool, int slot, int head, int d,
                bool is_key) const {
    const int offset = slot % view_.page_size, page_size = view_.page_size;
    const int D = is_key ? view_.head_dim : view_.value_dim();
    const std::uint8_t* at = run(pool, D, slot, head);
    if (view_.format == KvFormat::int4) {
      const int first = d / 32 * 32, half = std::min(32, D - first) / 2, i = d - first;
      const int byte =
          is_key ? at[d / 2 * page_size + offset] : at[offset * D / 2 + first / 2 + i % half];
      const bool high = is_key ? d % 2 : i >= half;
      return scale(at, D, slot) * kv_levels[high ? byte >> 4 : byte & 15];
    }
    const int index = is_key ? d * page_size + offset : offset * D + d;
    if (view_.format == KvFormat::int8)
      return scale(at, D, slot) * static_cast<std::int8_t>(at[index]);
    return number_of(at + index * (view_.format == KvFormat::f32 ? 4 : 2), view_.format);
  }

  std::vector<double> whole(int slot, int head, bool is_key) const {
    std::vector<double> x;
    const int D = is_key ? view_.head_dim : view_.value_dim();
    for (int d = 0; d < D; ++d) x.push_back(is_key ? key(slot, head, d) : value(slot, head, d));
    if (!is_quantized(view_.format)) return x;
    return turn_back(x, is_key ? key_rotation(view_) : value_rotation(view_));
  }

  int num_slots_;
  std::vector<std::uint8_t> k_, v_;
  KvPools view_;
};

}  // namespace pippin::cpu
