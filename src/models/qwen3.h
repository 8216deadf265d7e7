// Qwen3 (dense). Reference: transformers models/qwen3, mlx-lm models/qwen3.py.
#pragma once

#include <memory>
#include <vector>

#include "models/config.h"
#include "models/model.h"
#include "nn/layers.h"

namespace pippin::models {

/// The decoder, shared with qwen3_vl. Tensor names are the checkpoint's:
/// model.layers.N.self_attn.q_proj.weight ...
class Qwen3Decoder {
 public:
  Qwen3Decoder(const DecoderConfig& config, nn::Checkpoint& checkpoint);

  /// Logits float32 [R, V]; see Model::forward.
  mx::array forward(const StepInput& input, nn::KVCache& cache) const;

 private:
  class Attention {
   public:
    Attention(const DecoderConfig& config, nn::Checkpoint& checkpoint, const std::string& name);
    /// residual + attention(x).
    mx::array operator()(const mx::array& residual, const mx::array& x,
                         const kernels::RopeAngles& angles, const kernels::PagedLayout& layout,
                         mx::array& k_pool, mx::array& v_pool) const;

   private:
    int num_heads_, num_kv_heads_, head_dim_;
    nn::JoinedLinear qkv_proj_;  ///< D -> (H + 2 Hkv) * Dh
    nn::Linear o_proj_;          ///< H * Dh -> D
    nn::RmsNorm q_norm_, k_norm_;
  };

  class MLP {
   public:
    MLP(const DecoderConfig& config, nn::Checkpoint& checkpoint, const std::string& name);
    /// residual + mlp(x).
    mx::array operator()(const mx::array& residual, const mx::array& x) const;

   private:
    nn::GatedLinear gate_up_proj_;
    nn::Linear down_proj_;
  };

  struct Block {
    Block(const DecoderConfig& config, nn::Checkpoint& checkpoint, const std::string& name);
    nn::RmsNorm input_layernorm;
    Attention self_attn;
    nn::RmsNorm post_attention_layernorm;
    MLP mlp;
  };

  DecoderConfig config_;
  nn::Embedding embed_tokens_;
  std::vector<Block> layers_;
  nn::RmsNorm norm_;
  nn::Linear lm_head_;
};

/// The traits that every model over this decoder shares.
ModelTraits decoder_traits(const std::filesystem::path& model_dir,
                           const boost::json::object& config, const DecoderConfig& decoder);

/// Opens a directory whose config.json says model_type "qwen3".
std::unique_ptr<Model> load_qwen3(const std::filesystem::path& model_dir,
                                  const boost::json::object& config,
                                  const nn::LoadOptions& options);

}  // namespace pippin::models
