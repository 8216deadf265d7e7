// What happens between the q/k/v projection and attention: norms of each head, rotary embedding, and
// the new keys' and values' way into the pools.
#pragma once

#include <cstdint>

#include "kernels/cpu/kv_pools.h"

namespace pippin::cpu {

/// What is divided by its root mean square: nothing, every query and key head, or a row's query heads and its key heads as a whole; before
/// rotation, or after it.
enum class HeadNorms { none, each_head, whole_row, each_head_after_rotation };

/// What a projection's row holds behind its queries.
enum class KeyValues {
  apart,  ///< keys, then values
  one,    ///< keys, which before norms and rotation are the values, too
  none,   ///< nothing: the pools have the keys and values of all rows
};

/// The rows of a step. T rows; H query heads, Hkv key heads of D numbers, Hkv value heads of Dv (all but H in `pools`).
struct QkvRows {
  const float*
      qkv;  ///< [T, (H + Hkv) * D + Hkv * Dv]: all of q, then k, then v (as kv says), which keys may hold (as `pools` says)
  std::int64_t qkv_stride;  ///< floats from row to row
  int num_heads;            ///< H
  KeyValues kv = KeyValues::apart;
  bool value_norms = false;  ///< each head of values is divided by its root mean square
  HeadNorms norms = HeadNorms::none;
  const float* q_norm = nullptr;  ///< [D], of whole rows [H * D], or none for ones
  const float* k_norm = nullptr;  ///< [D], of whole rows [Hkv * D], or none for ones
  float eps = 0;
  const float* q_scales = nullptr;  ///< [T], which multiply a row's queries, or none
  const float* cos = nullptr;       ///< [T, rotary_dim / 2]
  const float* sin = nullptr;
  int rotary_dim = 0;         ///< even; the rest of a head stays as it is
  int rotary_begin = 0;       ///< the first number of a head that turns
  bool interleaved = false;   ///< 2 i turns with 2 i + 1, else i with i + rotary_dim / 2
  const std::int32_t* slots;  ///< [T] where each row's key and value go; < 0: nowhere
  float* q;                   ///< [T, H * D], not scaled; may be qkv itself
  std::int64_t q_stride;
  KvPools pools;
};

struct RopeKernels {
  /// Rows [first, last).
  void (*qkv)(const QkvRows& rows, std::int64_t first, std::int64_t last);
};

}  // namespace pippin::cpu
