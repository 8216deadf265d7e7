#include "kernels/kv_codes.h"

#include <bit>
#include <cmath>
#include <vector>

#include "kernels/cpu/types.h"
#include "kernels/cpu_backend.h"
#include "pippin/error.h"

namespace pippin::kernels {
namespace {

// R [D, D] with y = x R.
mx::array rotation(int head_dim, int block_size) {
  const auto size = static_cast<unsigned>(head_dim), block = static_cast<unsigned>(block_size);
  const float factor = 1.0f / std::sqrt(static_cast<float>(block));
  std::vector<float> numbers;
  for (unsigned i = 0; i < size; ++i)
    for (unsigned j = 0; j < size; ++j) {
      const float hadamard = std::popcount(i % block & j % block) % 2 ? -factor : factor;
      numbers.push_back(i / block == j / block ? cpu::rotation_sign(static_cast<int>(i)) * hadamard
                                               : 0.0f);
    }
  return mx::array(numbers.begin(), {head_dim, head_dim});
}

mx::array heads_times(const mx::array& x, const mx::array& matrix) {
  return mx::astype(mx::matmul(mx::astype(x, mx::float32), matrix), x.dtype());
}

mx::array last_axis(const mx::array& x, int begin, int end) {
  mx::Shape start(x.ndim(), 0), stop = x.shape();
  start.back() = begin;
  stop.back() = end;
  return mx::slice(x, start, stop);
}

mx::array levels() {
  std::vector<float> numbers(std::begin(cpu::kv_levels), std::end(cpu::kv_levels));
  return mx::array(numbers.begin(), {16});
}

mx::array as_bf16(const mx::array& x) { return mx::astype(x, mx::bfloat16); }

// x / y where y is a scale; 0 where there is nothing to scale.
mx::array divide_or_zero(const mx::array& x, const mx::array& y) {
  return mx::where(mx::greater(y, mx::array(1e-30f)), x / y, mx::array(0.0f));
}

mx::array encode8(const mx::array& x, const mx::array& largest, mx::array& scale) {
  scale = as_bf16(largest / mx::array(127.0f));
  const auto codes = mx::round(divide_or_zero(x, mx::astype(scale, mx::float32)));
  return mx::view(mx::astype(mx::clip(codes, mx::array(-128.0f), mx::array(127.0f)), mx::int8),
                  mx::uint8);
}

// Low nibbles hold the first half of the head, high ones the second.
mx::array encode4(const mx::array& x, const mx::array& largest, mx::array& scale) {
  const auto in_levels = divide_or_zero(x * mx::array(127.0f), largest);
  auto codes = mx::zeros(x.shape(), mx::uint8);
  for (int i = 1; i < 16; ++i) {
    const float border = 0.5f * static_cast<float>(cpu::kv_levels[i - 1] + cpu::kv_levels[i]);
    codes = codes + mx::astype(mx::greater(in_levels, mx::array(border)), mx::uint8);
  }
  const auto level = mx::take(levels(), codes);
  scale = as_bf16(mx::sum(x * level, -1, true) / mx::sum(level * level, -1, true));
  const int half = x.shape(-1) / 2;
  return mx::bitwise_or(last_axis(codes, 0, half),
                        mx::left_shift(last_axis(codes, half, 2 * half), mx::array(4, mx::uint8)));
}

}  // namespace

cpu::KvFormat kv_format_of(const mx::array& pool, int head_dim) {
  if (pool.dtype() != mx::uint8) {
    switch (format_of(pool.dtype())) {
      case cpu::Format::f32:
        return cpu::KvFormat::f32;
      case cpu::Format::bf16:
        return cpu::KvFormat::bf16;
      case cpu::Format::f16:
        return cpu::KvFormat::f16;
    }
  }
  for (const auto format : {cpu::KvFormat::int8, cpu::KvFormat::int4})
    if (pool.shape(-1) == cpu::kv_row_bytes(format, head_dim)) return format;
  throw Error(Code::internal, "[kv] a pool has rows of no known size");
}

mx::array rotate_heads(const mx::array& x, int block) {
  return heads_times(x, rotation(x.shape(-1), block));
}

mx::array rotate_heads_back(const mx::array& x, int block) {
  return heads_times(x, mx::transpose(rotation(x.shape(-1), block)));
}

mx::array encode_heads(const mx::array& x, cpu::KvFormat format) {
  const auto numbers = mx::astype(x, mx::float32);
  const auto largest = mx::max(mx::abs(numbers), -1, true);
  auto scale = largest;
  const auto codes = format == cpu::KvFormat::int8 ? encode8(numbers, largest, scale)
                                                   : encode4(numbers, largest, scale);
  return mx::concatenate({codes, mx::view(scale, mx::uint8)}, -1);
}

mx::array decode_heads(const mx::array& rows, int head_dim, mx::Dtype dtype) {
  const int code_bytes = rows.shape(-1) - 2;
  const auto codes = last_axis(rows, 0, code_bytes);
  const auto scale =
      mx::view(mx::contiguous(last_axis(rows, code_bytes, code_bytes + 2)), mx::bfloat16);
  if (kv_format_of(rows, head_dim) == cpu::KvFormat::int8)
    return mx::astype(mx::view(mx::contiguous(codes), mx::int8), dtype) * mx::astype(scale, dtype);
  const auto nibbles = mx::concatenate({mx::bitwise_and(codes, mx::array(15, mx::uint8)),
                                        mx::right_shift(codes, mx::array(4, mx::uint8))},
                                       -1);
  return mx::take(mx::astype(levels(), dtype), nibbles) * mx::astype(scale, dtype);
}

}  // namespace pippin::kernels
