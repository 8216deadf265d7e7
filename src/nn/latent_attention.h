// The projections of multi-head latent attention (DeepSeek-V2), absorbed: around kernels::causal_attention over one shared head of
// latents and rotary keys. D = hidden size, H = heads; L, R, N, V as in kernels/latent.h.
#pragma once

#include <optional>
#include <string>

#include "kernels/latent.h"
#include "kernels/ops.h"
#include "nn/layers.h"

namespace pippin::nn {

struct LatentConfig {
  int query_rank =
      0;  ///< queries come from a latent of their own, of that many numbers; 0: from the hidden state
  int latent_dim = 0;  ///< L
  int rotary_dim = 0;  ///< R
  int plain_dim = 0;   ///< N: what a query has beside its R numbers that turn
  int value_dim = 0;   ///< V
  float norm_eps = 0;  ///< of the latents' norms
  bool bias = false;   ///< of the projections to latents
};

/// Tensors of NAME: q_proj [H * (N + R), D], or q_a_proj [rank, D], q_a_layernorm and q_b_proj; kv_a_proj_with_mqa [L + R, D],
/// kv_a_layernorm [L]; embed_q [H, L, N] and unembed_out [H, V, L], or both in one as kv_b_proj [H * (N + V), L]. A quantized
/// kv_b_proj is expanded, since its groups run across what embed_q multiplies.
class LatentProjections {
 public:
  LatentProjections(const LatentConfig& config, int hidden_size, int num_heads,
                    Checkpoint& checkpoint, const std::string& name);

  /// x [T, D] -> rows for causal_attention with shape(), [T, (H + 1) * (L + R)].
  mx::array rows(const mx::array& x) const;
  /// Attention's output over latents [T, H * L] -> [T, H * V].
  mx::array values(const mx::array& latents) const {
    return kernels::multiply_heads(latents, up_.values);
  }

 private:
  /// From latents to each head's keys and values.
  struct Up {
    kernels::Bank keys;    ///< [H, L, N]
    kernels::Bank values;  ///< [H, V, L]
  };
  static Up load_up(const LatentConfig& config, int num_heads, Checkpoint& checkpoint,
                    const std::string& name);

  /// Of queries that come from a latent.
  struct QueryLatent {
    Linear down;
    RmsNorm norm;
  };

  std::optional<QueryLatent> query_latent_;
  Linear q_proj_, kv_down_;
  RmsNorm kv_norm_;
  Up up_;
};

/// One head of keys of L + R numbers, whose first L are the values; the last R turn.
kernels::AttentionShape latent_shape(const LatentConfig& config, int num_heads);

}  // namespace pippin::nn
