// Qwen3-VL's vision tower: patches -> merged rows in the text model's space, with DeepStack taps on
// the way. n = patches, N = n / merge^2 merged rows, Dv = vision hidden size, D = text hidden size,
// S = DeepStack taps.
#pragma once

#include <boost/json.hpp>

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "media/patches.h"
#include "models/model.h"
#include "nn/layers.h"

namespace pippin::models {

/// vision_config, as Hugging Face's Qwen3VLVisionConfig names its fields.
struct VisionConfig {
  int depth = 0;
  int hidden_size = 0;  ///< Dv
  int num_heads = 0;
  int intermediate_size = 0;
  int out_hidden_size = 0;  ///< D
  int patch_size = 16;
  int temporal_patch_size = 2;
  int spatial_merge_size = 2;
  int in_channels = 3;
  int num_grid_per_side = 0;  ///< sqrt(num_position_embeddings)
  std::vector<int> deepstack_visual_indexes;
  media::Normalization normalization;  ///< preprocessor_config.json's, applied to u8 patches

  /// Throws Error(invalid_argument) naming a missing or impossible field.
  static VisionConfig from_json(const boost::json::object& config, const std::string& path);
};

/// The tower. Tensor names: visual.blocks.N.attn.qkv.weight ...
class Qwen3VLVision {
 public:
  Qwen3VLVision(const VisionConfig& config, nn::Checkpoint& checkpoint);

  /// Pictures (grid.t frames of each attend within themselves) -> of each embeddings [N, D], deepstack
  /// S x [N, D].
  std::unique_ptr<Encoding> start(std::span<const media::Patches* const> pictures) const;

 private:
  class Pass;

  class Attention {
   public:
    Attention(const VisionConfig& config, nn::Checkpoint& checkpoint, const std::string& name);
    /// residual + attention(x).
    mx::array operator()(const mx::array& residual, const mx::array& x,
                         const kernels::RopeAngles& angles,
                         const std::vector<int>& frame_ends) const;

   private:
    kernels::CpuBackendPtr cpu_;
    int num_heads_;
    nn::Linear qkv_, proj_;
  };

  struct Block {
    Block(const VisionConfig& config, nn::Checkpoint& checkpoint, const std::string& name);
    nn::LayerNorm norm1;
    Attention attn;
    nn::LayerNorm norm2;
    nn::Linear linear_fc1, linear_fc2;
  };

  /// merge^2 neighbouring rows -> one row of the text model.
  class Merger {
   public:
    /// norm_after_merge: DeepStack mergers normalise the merged row [4 Dv], the last merger each
    /// patch row [Dv].
    Merger(const VisionConfig& config, nn::Checkpoint& checkpoint, const std::string& name,
           bool norm_after_merge);
    mx::array operator()(const mx::array& x) const;

   private:
    int merged_size_;
    bool norm_after_merge_;
    nn::LayerNorm norm_;
    nn::Linear linear_fc1_, linear_fc2_;
  };

  mx::array embed(const media::Patches& patches) const;
  mx::array normalized(const media::Patches& patches) const;
  mx::array position_embedding(const media::PatchGrid& grid) const;
  kernels::RopeAngles rotary_angles(std::span<const media::Patches* const> pictures) const;

  VisionConfig config_;
  mx::Dtype dtype_;
  nn::Linear
      patch_embed_;  ///< the 3-D convolution over one patch, as a matrix [Dv, C * Tp * P * P]
  nn::Embedding pos_embed_;
  std::vector<Block> blocks_;
  Merger merger_;
  std::vector<Merger> deepstack_mergers_;
};

}  // namespace pippin::models
