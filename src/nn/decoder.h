// The decoder of language models: attention and gated MLP (or experts) in residual blocks. What differs between families is data
// (DecoderConfig); a family's file fills it from its config.json. T = rows, R = rows whose logits are wanted, V =
// vocabulary, D = hidden size, H, Hkv = query and key/value heads, Dh = head dimension.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/ops.h"
#include "nn/altup.h"
#include "nn/feed_forward.h"
#include "nn/gated_delta.h"
#include "nn/latent_attention.h"
#include "nn/layer_inputs.h"
#include "nn/layers.h"
#include "nn/mamba2.h"
#include "nn/model_state.h"
#include "nn/recurrent.h"

namespace pippin::nn {

/// Llama 4's and Ministral 3's scale of queries: 1 + beta * log(1 + floor(position / context)).
struct QueryScale {
  float beta;
  int context;
};

/// What attention gives may be multiplied by the sigmoid of a gate.
enum class OutputGate {
  none,
  beside_queries,  ///< q_proj gives each head's query and its gate
  apart,           ///< self_attn.gate_proj gives it
};

/// One kind of attention layer.
struct AttentionConfig {
  int num_heads = 0;     ///< H
  int num_kv_heads = 0;  ///< Hkv
  int head_dim = 0;      ///< Dh
  float scale = 0;       ///< of q k^T
  int window = 0;        ///< a row sees that many tokens, itself included; 0: all before it
  float softcap = 0;     ///< of scores; 0: none
  bool qkv_bias = false, output_bias = false;
  bool sinks = false;  ///< self_attn.sinks [H]
  /// self_attn.q_norm and k_norm, before rotation.
  cpu::HeadNorms norms = cpu::HeadNorms::none;
  int rope = 0;  ///< which of DecoderConfig::ropes; -1: nothing turns
  std::optional<QueryScale> query_scale = {};
  bool norm_weights = true;  ///< else q_norm and k_norm have none
  OutputGate output_gate = OutputGate::none;
  bool value_norm = false;       ///< each head of values is divided by its root mean square
  bool keys_are_values = false;  ///< k_proj gives the values, too, and there is no v_proj
  /// Multi-head latent attention in place of q_proj, k_proj and v_proj: num_kv_heads and head_dim, biases of q, k and v, and norms of
  /// heads say nothing then.
  std::optional<LatentConfig> latent = {};
};

/// Which norm a family's blocks have.
enum class NormKind {
  rms,
  layer,  ///< LayerNorm without a bias
};

/// Where norms stand in a block, as the checkpoint names them; an empty name: none there.
struct NormNames {
  std::string attention_input = "input_layernorm";
  std::string attention_output = {};
  std::string mlp_input = "post_attention_layernorm";
  std::string mlp_output = {};
};

/// In DecoderConfig::layers: a layer whose mixer is recurrent, or that has an MLP (or experts) alone.
inline constexpr int recurrent_layer = -1, no_mixer = -2;

struct DecoderConfig {
  int hidden_size = 0;        ///< D
  int intermediate_size = 0;  ///< of the MLP
  std::optional<MoeConfig> moe =
      {};  ///< experts in place of the MLP, in the layers that `routed` names
  std::vector<bool> routed = {};  ///< by layer; empty: all layers, where `moe` is set
  int vocab_size = 0;             ///< V
  std::optional<bool> tied =
      {};  ///< the output layer is the embedding; absent: where there is no lm_head
  float norm_eps = 1e-6f;
  NormKind norm_kind = NormKind::rms;
  bool norm_adds_one = false;    ///< RMS norms multiply by 1 + weight
  bool last_norm_plain = false;  ///< but for model.norm
  float output_norm_eps = 0;     ///< of the norms after attention and MLP; 0: norm_eps
  bool embedding_norm = false;   ///< rows of the table are divided by their root mean square
  /// The MLP reads what attention reads, and both join the residual: norms.mlp_input is empty.
  bool parallel = false;
  NormNames norms;
  Activation activation = Activation::silu;  ///< of the gate of the MLP or the experts
  bool mlp_bias = false;
  bool mlp_gated = true;  ///< else the MLP and the experts have no gate
  float embedding_scale = 1, residual_scale = 1, logit_scale = 1;
  float logit_softcap = 0;  ///< logits x become softcap * tanh(x / softcap); 0: they stay
  std::vector<kernels::Rope> ropes;
  std::vector<AttentionConfig> kinds;  ///< of attention layers
  // One of these at most: what recurrent layers are.
  std::optional<ShortConvConfig> short_conv;
  std::optional<GatedDeltaConfig> gated_delta;
  std::optional<Mamba2Config> mamba2;
  std::vector<int> layers;  ///< each layer's kind of attention, or recurrent_layer, or no_mixer
  /// By layer: the earlier layer whose keys and values it attends to, without any of its own, or -1; empty: each has its own.
  std::vector<int> shared_kv = {};
  std::vector<int> intermediate_sizes = {};  ///< by layer; empty: intermediate_size
  std::optional<LayerInputsConfig> layer_inputs = {};
  std::vector<float> sparsities = {};  ///< MlpConfig::sparsity by layer; empty: 0
  int laurel_rank = 0;  ///< of low-rank maps beside attention (Laurel); 0: there are none
  std::optional<AltUpConfig> altup = {};
  bool layer_scale = false;  ///< model.layers.N.layer_scale [1] multiplies what the layer gives
  std::vector<bool> mixer_alone = {};  ///< by layer: no MLP follows; empty: one follows in all
  /// By layer: its mixer reads what the mixer of the layer before did, and stands beside it; empty: none does.
  std::vector<bool> beside_previous = {};
};

/// What each layer keeps of the tokens before, in a model that is loaded so.
std::vector<LayerState> layer_states(const DecoderConfig& config, const LoadOptions& options);

/// What the layers of a step share.
struct DecoderStep {
  const mx::array& positions;  ///< int32 [A, T], with as many axes as the ropes' sections want
  bool one_axis;               ///< the rows of `positions` are equal
  const kernels::PagedLayout& layout;
  /// Of the layers whose pages are ModelState::window_pages(); null where no layer's are.
  const kernels::PagedLayout* window_layout = nullptr;
  std::span<const kernels::StateRows> states = {};  ///< the rows of recurrent layers
  std::optional<mx::array> layer_inputs = {};  ///< Decoder::layer_inputs(), where there are any
  /// Called with the hidden states [T, D] after layer i, which it may replace.
  std::function<mx::array(mx::array, std::size_t)> after_layer = {};
};

/// Tensors: model.embed_tokens, model.layers.N.self_attn.{q,k,v,o}_proj or model.layers.N.conv (recurrent.h) or .linear_attn
/// (gated_delta.h) or .mamba (mamba2.h), model.layers.N.mlp (feed_forward.h), the norms by their names, model.norm, lm_head.
class Decoder {
 public:
  Decoder(DecoderConfig config, Checkpoint& checkpoint);

  /// tokens int32 [T] -> [T, D].
  mx::array embed(const mx::array& tokens) const;
  /// What DecoderStep::layer_inputs wants: of the tokens and of what forward() will begin with. Absent where the layers have none.
  std::optional<mx::array> layer_inputs(const mx::array& tokens, const mx::array& h) const;
  /// Hidden states [T, D] after all layers; writes the rows' keys and values, and recurrent states.
  mx::array forward(mx::array h, const DecoderStep& step, ModelState& state) const;
  /// h [R, D] -> logits float32 [R, V].
  mx::array logits(const mx::array& h) const;

 private:
  class Attention {
   public:
    Attention(const DecoderConfig& config, const AttentionConfig& kind, bool has_kv,
              Checkpoint& checkpoint, const std::string& name);
    mx::array operator()(const mx::array& x, const kernels::RowPositions& rows,
                         const kernels::PagedLayout& layout, mx::array& k_pool,
                         mx::array& v_pool) const;

    Linear o_proj;  ///< H * Dh -> D

   private:
    std::optional<JoinedLinear>
        qkv_proj_;  ///< D -> (H + 2 Hkv) * Dh, or with gates (2 H + 2 Hkv) * Dh, or less (spec_.kv); or
    std::optional<LatentProjections> latent_;
    kernels::AttentionSpec spec_;
    OutputGate output_gate_;
  };

  /// x + norm(right(left x)) beside attention; both and the residual are averaged, but for a factor.
  struct Laurel {
    Linear left, right;
    Norm norm;
  };

  struct Block {
    Block(const DecoderConfig& config, std::size_t layer, Checkpoint& checkpoint,
          const std::string& name);
    int kind;
    std::optional<Norm> attention_input;
    std::optional<Attention> self_attn;         ///< or
    std::unique_ptr<RecurrentMixer> recurrent;  ///< if kind is recurrent_layer
    std::optional<Norm> attention_output, mlp_input;
    std::optional<FeedForward> mlp;
    std::optional<Norm> mlp_output;
    std::optional<LayerInput> layer_input;
    std::optional<Laurel> laurel;
    std::optional<AltUpLayer> altup;
    float scale = 1;  ///< layer_scale
  };

  std::vector<kernels::RowPositions> row_positions(const DecoderStep& step) const;
  /// h after a layer, but for what layer inputs and the scale do where there is AltUp. `input`: what the mixer of the layer before read,
  /// and then this one's.
  mx::array run(mx::array h, std::optional<mx::array>& input, std::size_t layer,
                const DecoderStep& step, const std::vector<kernels::RowPositions>& rows,
                ModelState& state) const;
  /// The same for streams.
  mx::array run_streams(const mx::array& streams, std::size_t layer, const DecoderStep& step,
                        const std::vector<kernels::RowPositions>& rows, ModelState& state) const;
  /// `x`: what the layer's mixer reads, h or h normed.
  mx::array mix(const mx::array& h, const mx::array& x, std::size_t layer, const DecoderStep& step,
                const std::vector<kernels::RowPositions>& rows, ModelState& state) const;
  /// Last: Linear or FeedForward. scale: of the sum, at the end.
  template <class Last>
  mx::array add_branch(const mx::array& h, const Last& last, const mx::array& x,
                       const std::optional<Norm>& norm, float scale = 1) const;

  DecoderConfig config_;
  Embedding embed_tokens_;
  std::optional<RmsNorm> embedding_norm_;
  std::optional<LayerInputs> layer_inputs_;
  std::optional<AltUp> altup_;
  std::vector<Block> layers_;
  Norm norm_;
  Linear lm_head_;
  kernels::CpuBackendPtr cpu_;
};

}  // namespace pippin::nn
