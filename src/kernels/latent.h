// Multi-head latent attention, absorbed: what stands between its projections and causal_attention (ops.h). A token's key is its latent
// and one rotary key, which all heads share; its value is the latent. What the checkpoint calls kv_b_proj, a matrix from latents
// to each head's key and value, is multiplied into the queries and the outputs instead. T = rows, H = heads, L = latent, R = rotary
// key, N = rest of a query, V = value.
#pragma once

#include <mlx/mlx.h>

#include "kernels/weight.h"

namespace pippin::kernels {

/// Each head's matrix of a bank [H, out, in] times that head's part of x [T, H * in]: [T, H * out], in x's dtype. Packed banks want
/// float32.
mx::array multiply_heads(const mx::array& x, const Bank& matrices);

/// What latent_rows joins.
struct LatentParts {
  const mx::array& queries;  ///< [T, H * (N + R)], each head's N numbers first
  const mx::array& latents;  ///< [T, L + R], neither normed nor turned
  const Bank& absorb;        ///< [H, L, N]: a query's first numbers become L
  const mx::array& norm;     ///< [L], of the latent
  float eps;
};

/// Rows as causal_attention wants them where values are in keys, [T, (H + 1) * (L + R)]: the absorbed queries, then the key, which is
/// the normed latent and the rotary key.
mx::array latent_rows(const LatentParts& parts);

}  // namespace pippin::kernels
