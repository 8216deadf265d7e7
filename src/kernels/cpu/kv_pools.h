// The pages that hold the keys and values of every sequence, as the CPU's kernels lay them out.
#pragma once

#include <cstdint>

namespace pippin::cpu {

/// How keys and values are kept. int8 and int4 stand for numbers scale * level, one scale (bfloat16) for
/// each token's key or value of a head, of the head as rotated by rotation_impl.h: that spreads
/// outliers over the head, so that one scale serves it all. A token's content depends on the token alone.
enum class KvFormat { f32, bf16, f16, int8, int4 };

/// One layer's keys and values: page_size tokens a page, any number of pages. A page's part of one
/// head is one run of page_size * kv_row_bytes bytes, run number page * num_kv_heads + head.
/// Keys are stored [D, page_size] in it, so that the scores of 16 neighbouring keys are 16 lanes;
/// values [page_size, D]. Slot s is token s % page_size of page s / page_size.
/// Values that are their keys' first numbers (multi-head latent attention) have no run of their own.
/// int8: those numbers' codes (Code8), then the scales [page_size].
/// int4: keys' codes (Code4) [D / 2, page_size], i holding the numbers 2 i (low) and 2 i + 1; values'
/// [page_size, D / 2], where a block of 32 numbers (the last has B = D % 32, if that is not 0) is B / 2
/// codes, i holding the numbers i (low) and i + B / 2; then the scales.
struct KvPools {
  void* k;
  void* v;
  KvFormat format;
  int num_kv_heads;
  int head_dim;                 ///< D, of keys: a multiple of 8, at most max_head_dim
  int page_size;                ///< tokens; any, but a multiple of 16 is read several times faster
  int own_value_dim = 0;        ///< of values, likewise; 0: D
  bool values_in_keys = false;  ///< a value is its key's first value_dim() numbers; v is of no use

  constexpr int value_dim() const { return own_value_dim > 0 ? own_value_dim : head_dim; }
};

inline constexpr int max_head_dim = 576;

// Each translation unit has its own (static): see kernels_impl.h.
static constexpr bool is_quantized(KvFormat format) {
  return format == KvFormat::int8 || format == KvFormat::int4;
}

/// Bytes of one token's key or value of one head, its scale included.
static constexpr int kv_row_bytes(KvFormat format, int head_dim) {
  switch (format) {
    case KvFormat::f32:
      return 4 * head_dim;
    case KvFormat::int8:
      return head_dim + 2;
    case KvFormat::int4:
      return head_dim / 2 + 2;
    default:
      return 2 * head_dim;
  }
}

/// Numbers that are rotated together: the largest power of two that divides D.
static constexpr int rotation_block(int head_dim) { return head_dim & -head_dim; }
/// The same of heads whose first value_dim numbers are rotated back by themselves.
static constexpr int rotation_block(int head_dim, int value_dim) {
  return rotation_block(head_dim | value_dim);
}
static constexpr int key_rotation(const KvPools& pools) {
  return pools.values_in_keys ? rotation_block(pools.head_dim, pools.value_dim())
                              : rotation_block(pools.head_dim);
}
static constexpr int value_rotation(const KvPools& pools) {
  return pools.values_in_keys ? key_rotation(pools) : rotation_block(pools.value_dim());
}

/// The rotation's signs, before the Hadamard matrix: without a pattern that keys could share.
static constexpr float rotation_sign(int number) {
  std::uint32_t state = 0x9e3779b9u * static_cast<std::uint32_t>(number + 1);
  state ^= state >> 16;
  state *= 0x85ebca6bu;
  state ^= state >> 13;
  return state & 1u ? 1.0f : -1.0f;
}

}  // namespace pippin::cpu
