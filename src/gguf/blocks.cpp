#include "gguf/blocks.h"

#include <bit>
#include <cstring>

namespace pippin::gguf {
namespace {

using Codes = std::uint8_t[32];

float half(const std::uint8_t* p) {
  std::uint16_t bits;
  std::memcpy(&bits, p, sizeof bits);
  const std::uint32_t sign = (bits & 0x8000u) << 16, magnitude = bits & 0x7fffu;
  if (magnitude >= 0x7c00u)  // infinite or no number
    return std::bit_cast<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
  // The exponent's bias is 15 there and 127 here; the product makes subnormal ones normal, exactly.
  return std::bit_cast<float>(sign | magnitude << 13) * std::bit_cast<float>(0x77800000u);
}

/// Takes groups of codes and their scales in order.
class Writer {
 public:
  Writer(Quantized& out, int bits) : out_(out), bits_(bits) {}

  void group(const std::uint8_t* codes, int count, float scale, float bias) {
    put(codes, count);
    out_.scales.push_back(scale);
    out_.biases.push_back(bias);
  }
  void group(const std::uint8_t* codes, int count, std::uint8_t scale) {
    put(codes, count);
    out_.byte_scales.push_back(scale);
  }

 private:
  // Every group fills whole words.
  void put(const std::uint8_t* codes, int count) {
    std::uint64_t word = 0;
    int filled = 0;
    for (int i = 0; i < count; ++i) {
      word |= std::uint64_t{codes[i]} << filled;
      filled += bits_;
      if (filled < 32) continue;
      out_.words.push_back(static_cast<std::uint32_t>(word));
      word >>= 32;
      filled -= 32;
    }
  }

  Quantized& out_;
  int bits_;
};

// The low nibbles are the first 16 codes, the high ones the rest.
void nibbles(const std::uint8_t* p, Codes& codes) {
  for (int i = 0; i < 16; ++i) {
    codes[i] = p[i] & 15;
    codes[16 + i] = p[i] >> 4;
  }
}

// A fifth bit each.
void add_fifth(const std::uint8_t* p, Codes& codes) {
  for (int i = 0; i < 32; ++i)
    codes[i] = static_cast<std::uint8_t>(codes[i] | (p[i / 8] >> (i % 8) & 1) << 4);
}

void q4_0(const std::uint8_t* p, Writer& out) {
  Codes codes;
  nibbles(p + 2, codes);
  const float d = half(p);
  out.group(codes, 32, d, -8 * d);
}

void q4_1(const std::uint8_t* p, Writer& out) {
  Codes codes;
  nibbles(p + 4, codes);
  out.group(codes, 32, half(p), half(p + 2));
}

void q5_0(const std::uint8_t* p, Writer& out) {
  Codes codes;
  nibbles(p + 6, codes);
  add_fifth(p + 2, codes);
  const float d = half(p);
  out.group(codes, 32, d, -16 * d);
}

void q5_1(const std::uint8_t* p, Writer& out) {
  Codes codes;
  nibbles(p + 8, codes);
  add_fifth(p + 4, codes);
  out.group(codes, 32, half(p), half(p + 2));
}

void q8_0(const std::uint8_t* p, Writer& out) {
  Codes codes;
  for (int i = 0; i < 32; ++i) codes[i] = static_cast<std::uint8_t>(p[2 + i] ^ 128);  // plus 128
  const float d = half(p);
  out.group(codes, 32, d, -128 * d);
}

struct ScaleMin {
  int scale, min;
};

// Six bits each of eight groups in twelve bytes: those of the first four groups lie in the low bits of the bytes 0-3 and 4-7,
// those of the others in nibbles of 8-11 and the two high bits of the others' bytes.
ScaleMin scale_min(const std::uint8_t* p, int g) {
  if (g < 4) return {p[g] & 63, p[g + 4] & 63};
  return {(p[g + 4] & 15) | (p[g - 4] >> 6) << 4, p[g + 4] >> 4 | (p[g] >> 6) << 4};
}

// Q4_K, and Q5_K whose fifth bits lie at `high`. Two groups share 32 bytes, the first in the low nibbles.
void k_groups(const std::uint8_t* p, const std::uint8_t* high, const std::uint8_t* low,
              Writer& out) {
  const float d = half(p), dmin = half(p + 2);
  for (int g = 0; g < 8; ++g) {
    Codes codes;
    for (int i = 0; i < 32; ++i) {
      const int nibble = low[g / 2 * 32 + i] >> (g % 2 * 4) & 15;
      codes[i] = static_cast<std::uint8_t>(nibble | (high ? (high[i] >> g & 1) << 4 : 0));
    }
    const auto [scale, min] = scale_min(p + 4, g);
    out.group(codes, 32, d * static_cast<float>(scale), -(dmin * static_cast<float>(min)));
  }
}

// Halves of 128 values: four runs of 32, whose low nibbles share 64 bytes and whose high bits share 32. A scale of 8 bits
// for 16 values.
void q6_k(const std::uint8_t* p, Writer& out) {
  const auto *low = p, *high = p + 128, *scales = p + 192;
  const float d = half(p + 208);
  for (int run = 0; run < 8; ++run) {
    const int in_half = run % 4;
    Codes codes;
    for (int i = 0; i < 32; ++i) {
      const int nibble = low[run / 4 * 64 + in_half % 2 * 32 + i] >> (in_half / 2 * 4) & 15;
      const int bits = high[run / 4 * 32 + i] >> (in_half * 2) & 3;
      codes[i] = static_cast<std::uint8_t>(nibble | bits << 4);
    }
    for (int half_run = 0; half_run < 2; ++half_run) {
      const auto scale =
          d * static_cast<float>(static_cast<std::int8_t>(scales[2 * run + half_run]));
      out.group(codes + 16 * half_run, 16, scale, -32 * scale);
    }
  }
}

void mxfp4(const std::uint8_t* p, Writer& out) {
  Codes codes;
  nibbles(p + 1, codes);
  out.group(codes, 32, p[0]);
}

void requantize(TensorType type, const std::uint8_t* p, Writer& out) {
  switch (type) {
    case TensorType::q4_0:
      return q4_0(p, out);
    case TensorType::q4_1:
      return q4_1(p, out);
    case TensorType::q5_0:
      return q5_0(p, out);
    case TensorType::q5_1:
      return q5_1(p, out);
    case TensorType::q8_0:
      return q8_0(p, out);
    case TensorType::q4_k:
      return k_groups(p, nullptr, p + 16, out);
    case TensorType::q5_k:
      return k_groups(p, p + 16, p + 48, out);
    case TensorType::q6_k:
      return q6_k(p, out);
    case TensorType::mxfp4:
      return mxfp4(p, out);
    default:
      return;  // plain
  }
}

// Numbers of 2^(scale - 127) times E2M1.
float fp4(int code, std::uint8_t scale) {
  constexpr float sizes[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  const auto power = scale == 0 ? std::bit_cast<float>(0x00400000u)
                                : std::bit_cast<float>(std::uint32_t{scale} << 23);
  return (code < 8 ? sizes[code] : -sizes[code - 8]) * power;
}

float plain(TensorType type, const std::uint8_t* p) {
  std::uint32_t bits = 0;
  if (type == TensorType::f16) return half(p);
  if (type == TensorType::bf16)
    std::memcpy(reinterpret_cast<std::uint8_t*>(&bits) + 2, p, 2);
  else
    std::memcpy(&bits, p, 4);
  return std::bit_cast<float>(bits);
}

int code_at(const Quantized& q, std::size_t i, int bits) {
  const std::size_t at = i * static_cast<std::size_t>(bits);
  std::uint64_t word = q.words[at / 32];
  if (at / 32 + 1 < q.words.size()) word |= std::uint64_t{q.words[at / 32 + 1]} << 32;
  return static_cast<int>(word >> (at % 32) & ((1u << bits) - 1u));
}

}  // namespace

Quantization quantization_of(TensorType type) {
  switch (type) {
    case TensorType::q4_0:
    case TensorType::q4_1:
      return {32, 4, false, true};
    case TensorType::q5_0:
    case TensorType::q5_1:
      return {32, 5, false, true};
    case TensorType::q8_0:
      return {32, 8, false, true};
    case TensorType::q4_k:
      return {32, 4};
    case TensorType::q5_k:
      return {32, 5};
    case TensorType::q6_k:
      return {16, 6};
    case TensorType::mxfp4:
      return {32, 4, true};
    default:
      return {};
  }
}

Quantized requantized(const BlockFormat& format, std::span<const std::uint8_t> blocks) {
  Quantized out;
  const auto q = quantization_of(format.type);
  const auto size = static_cast<std::size_t>(format.bytes), count = blocks.size() / size;
  const auto values = count * static_cast<std::size_t>(format.values);
  out.words.reserve(values * static_cast<std::size_t>(q.bits) / 32);
  const auto groups = values / static_cast<std::size_t>(q.group);
  (q.mxfp4 ? out.byte_scales.reserve(groups)
           : (out.scales.reserve(groups), out.biases.reserve(groups)));
  Writer writer(out, q.bits);
  for (std::size_t i = 0; i < count; ++i) requantize(format.type, blocks.data() + i * size, writer);
  return out;
}

std::vector<float> dequantized(const BlockFormat& format, std::span<const std::uint8_t> blocks) {
  const auto q = quantization_of(format.type);
  const auto count = blocks.size() / static_cast<std::size_t>(format.bytes) *
                     static_cast<std::size_t>(format.values);
  std::vector<float> values(count);
  if (q.bits == 0) {
    for (std::size_t i = 0; i < count; ++i)
      values[i] = plain(format.type, blocks.data() + i * static_cast<std::size_t>(format.bytes));
    return values;
  }
  const auto quantized = requantized(format, blocks);
  for (std::size_t i = 0; i < count; ++i) {
    const auto group = i / static_cast<std::size_t>(q.group);
    const int code = code_at(quantized, i, q.bits);
    values[i] = q.mxfp4
                    ? fp4(code, quantized.byte_scales[group])
                    : quantized.scales[group] * static_cast<float>(code) + quantized.biases[group];
  }
  return values;
}

}  // namespace pippin::gguf
