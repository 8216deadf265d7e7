// Keys and values as 8- or 4-bit codes with one scale for each token and head, by MLX's operations: the
// codes that the CPU's kernels write (cpu/kv_pools.h), in rows of their own instead of pages.
#pragma once

#include <mlx/mlx.h>

#include "kernels/cpu/kv_pools.h"

namespace pippin::kernels {

namespace mx = mlx::core;

/// How a pool of keys or values (nn/model_state.h), [slots, Hkv, kv_row_bytes] of uint8 or [slots, Hkv, D] of a float dtype,
/// keeps heads of head_dim numbers. Throws Error(internal) on another.
cpu::KvFormat kv_format_of(const mx::array& pool, int head_dim);

/// The last axis [D] rotated by blocks of so many numbers, in x's dtype: scores of rotated queries and keys are those of the unrotated.
mx::array rotate_heads(const mx::array& x, int block);
mx::array rotate_heads_back(const mx::array& x, int block);

/// Rotated heads x [..., D] -> uint8 [..., kv_row_bytes]: codes, then the scale as bfloat16.
mx::array encode_heads(const mx::array& x, cpu::KvFormat format);

/// Inverse of encode_heads but for what the codes lose, as `dtype`.
mx::array decode_heads(const mx::array& rows, int head_dim, mx::Dtype dtype);

}  // namespace pippin::kernels
