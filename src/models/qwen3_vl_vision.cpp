#include "models/qwen3_vl_vision.h"

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "pippin/error.h"

namespace pippin::models {
namespace {

constexpr float norm_eps = 1e-6f;
constexpr float rotary_theta = 10000.0f;

// Visits the patches of one frame in the tower's order: merge blocks left to right, top to bottom,
// rows within a block.
template <class Visit>
void for_each_patch(const media::PatchGrid& grid, int merge, const Visit& visit) {
  for (int block_y = 0; block_y < grid.h; block_y += merge)
    for (int block_x = 0; block_x < grid.w; block_x += merge)
      for (int y = block_y; y < block_y + merge; ++y)
        for (int x = block_x; x < block_x + merge; ++x) visit(y, x);
}

// Published as a convolution: [Dv, C, Tp, P, P] by Hugging Face, [Dv, Tp, P, P, C] by MLX. A patch
// is one window of it, so it is a matrix over the patch's values in Hugging Face's order.
nn::Linear load_patch_embed(const VisionConfig& c, nn::Checkpoint& checkpoint) {
  const std::string name = "visual.patch_embed.proj";
  const mx::Shape mlx_shape = {c.hidden_size, c.temporal_patch_size, c.patch_size, c.patch_size,
                               c.in_channels};
  const mx::Shape hf_shape = {c.hidden_size, c.in_channels, c.temporal_patch_size, c.patch_size,
                              c.patch_size};
  const bool mlx = checkpoint.shape(name + ".weight") == mlx_shape;
  auto stored = checkpoint.cpu()
                    ? checkpoint.take_stored(name + ".weight", mlx ? mlx_shape : hf_shape)
                    : checkpoint.take(name + ".weight", mlx ? mlx_shape : hf_shape);
  if (mlx) stored = mx::transpose(stored, {0, 4, 1, 2, 3});
  stored = mx::contiguous(mx::reshape(stored, {c.hidden_size, -1}));
  stored.eval();
  kernels::Weight weight(std::move(stored));
  if (checkpoint.cpu()) weight = weight.packed_for(checkpoint.cpu());
  return {std::move(weight), checkpoint.take(name + ".bias", {c.hidden_size})};
}

}  // namespace

VisionConfig VisionConfig::from_json(const json::object& object, const std::string& path) {
  const Members members(object, path);
  const auto require = [&](bool holds, const char* key, const std::string& rule) {
    if (!holds)
      throw Error(Code::invalid_argument, "[config] " + members.path_of(key) + " must " + rule);
  };
  const auto size = [&](const char* key, std::int64_t largest = 1 << 20) {
    const auto value = members.required_integer(key);
    require(value >= 1 && value <= largest, key, "be a size of at most " + std::to_string(largest));
    return static_cast<int>(value);
  };
  VisionConfig c;
  c.depth = size("depth");
  c.hidden_size = size("hidden_size");
  c.num_heads = size("num_heads");
  c.intermediate_size = size("intermediate_size");
  c.out_hidden_size = size("out_hidden_size");
  c.patch_size = size("patch_size", 256);
  c.temporal_patch_size = size("temporal_patch_size", 16);
  c.spatial_merge_size = size("spatial_merge_size", 16);
  c.num_grid_per_side =
      static_cast<int>(std::sqrt(static_cast<double>(size("num_position_embeddings", 1 << 24))));
  require(members.integer_or("in_channels", c.in_channels) == c.in_channels, "in_channels", "be 3");
  require(c.hidden_size % (4 * c.num_heads) == 0, "num_heads",
          "divide hidden_size into multiples of 4");
  if (const auto* indexes = members.array("deepstack_visual_indexes"))
    for (const auto& index : *indexes) {
      require(index.is_int64() && index.as_int64() >= 0 && index.as_int64() < c.depth,
              "deepstack_visual_indexes", "hold block numbers below depth");
      c.deepstack_visual_indexes.push_back(static_cast<int>(index.as_int64()));
    }
  return c;
}

Qwen3VLVision::Attention::Attention(const VisionConfig& c, nn::Checkpoint& checkpoint,
                                    const std::string& name)
    : cpu_(checkpoint.cpu()),
      num_heads_(c.num_heads),
      qkv_(nn::Linear::load(checkpoint, name + ".qkv", c.hidden_size, 3 * c.hidden_size, true)),
      proj_(nn::Linear::load(checkpoint, name + ".proj", c.hidden_size, c.hidden_size, true)) {}

mx::array Qwen3VLVision::Attention::operator()(const mx::array& residual, const mx::array& x,
                                               const kernels::RopeAngles& angles,
                                               const std::vector<int>& frame_ends) const {
  return proj_.add_to(residual,
                      kernels::vision_attention(qkv_(x), num_heads_, angles, frame_ends, cpu_));
}

Qwen3VLVision::Block::Block(const VisionConfig& c, nn::Checkpoint& checkpoint,
                            const std::string& name)
    : norm1(nn::LayerNorm::load(checkpoint, name + ".norm1", c.hidden_size, norm_eps)),
      attn(c, checkpoint, name + ".attn"),
      norm2(nn::LayerNorm::load(checkpoint, name + ".norm2", c.hidden_size, norm_eps)),
      linear_fc1(nn::Linear::load(checkpoint, name + ".mlp.linear_fc1", c.hidden_size,
                                  c.intermediate_size, true)),
      linear_fc2(nn::Linear::load(checkpoint, name + ".mlp.linear_fc2", c.intermediate_size,
                                  c.hidden_size, true)) {}

Qwen3VLVision::Merger::Merger(const VisionConfig& c, nn::Checkpoint& checkpoint,
                              const std::string& name, bool norm_after_merge)
    : merged_size_(c.hidden_size * c.spatial_merge_size * c.spatial_merge_size),
      norm_after_merge_(norm_after_merge),
      norm_(nn::LayerNorm::load(checkpoint, name + ".norm",
                                norm_after_merge ? merged_size_ : c.hidden_size, norm_eps)),
      linear_fc1_(
          nn::Linear::load(checkpoint, name + ".linear_fc1", merged_size_, merged_size_, true)),
      linear_fc2_(nn::Linear::load(checkpoint, name + ".linear_fc2", merged_size_,
                                   c.out_hidden_size, true)) {}

mx::array Qwen3VLVision::Merger::operator()(const mx::array& x) const {
  const auto merged = [&](const mx::array& rows) { return mx::reshape(rows, {-1, merged_size_}); };
  return linear_fc2_(
      linear_fc1_(norm_after_merge_ ? norm_(merged(x)) : merged(norm_(x)), nn::Activation::gelu));
}

Qwen3VLVision::Qwen3VLVision(const VisionConfig& config, nn::Checkpoint& checkpoint)
    : config_(config),
      dtype_(checkpoint.dtype()),
      patch_embed_(load_patch_embed(config, checkpoint)),
      pos_embed_(nn::Embedding::load(checkpoint, "visual.pos_embed",
                                     config.num_grid_per_side * config.num_grid_per_side,
                                     config.hidden_size)),
      merger_(config, checkpoint, "visual.merger", false) {
  for (int i = 0; i < config.depth; ++i)
    blocks_.emplace_back(config, checkpoint, "visual.blocks." + std::to_string(i));
  for (std::size_t i = 0; i < config.deepstack_visual_indexes.size(); ++i)
    deepstack_mergers_.emplace_back(config, checkpoint,
                                    "visual.deepstack_merger_list." + std::to_string(i), true);
}

mx::array Qwen3VLVision::normalized(const media::Patches& patches) const {
  const int n = patches.grid.num_patches();
  const int per_channel = static_cast<int>(patches.values.size()) / n / config_.in_channels;
  const auto& norm = config_.normalization;
  const mx::array values(patches.values.begin(), {n, config_.in_channels, per_channel}, mx::uint8);
  const mx::array scale(norm.scale.begin(), {1, config_.in_channels, 1}, mx::float32);
  const mx::array offset(norm.offset.begin(), {1, config_.in_channels, 1}, mx::float32);
  return mx::astype(mx::reshape(mx::astype(values, mx::float32) * scale + offset, {n, -1}), dtype_);
}

// The square table, bilinearly interpolated to the picture's grid with aligned corners.
mx::array Qwen3VLVision::position_embedding(const media::PatchGrid& grid) const {
  const int side = config_.num_grid_per_side;
  const auto source = [&](int i, int count) {
    return count > 1 ? static_cast<float>(i) * static_cast<float>(side - 1) /
                           static_cast<float>(count - 1)
                     : 0.0f;
  };
  std::vector<std::int32_t> indices;  // [n, 4]: the neighbours of each patch
  std::vector<float> weights;         // [n, 4, 1]
  const auto add_patch = [&](int y, int x) {
    const float sy = source(y, grid.h), sx = source(x, grid.w);
    const int y0 = static_cast<int>(sy), x0 = static_cast<int>(sx);
    const int y1 = std::min(y0 + 1, side - 1), x1 = std::min(x0 + 1, side - 1);
    const float dy = sy - static_cast<float>(y0), dx = sx - static_cast<float>(x0);
    indices.insert(indices.end(), {y0 * side + x0, y0 * side + x1, y1 * side + x0, y1 * side + x1});
    weights.insert(weights.end(), {(1 - dy) * (1 - dx), (1 - dy) * dx, dy * (1 - dx), dy * dx});
  };
  for (int t = 0; t < grid.t; ++t) for_each_patch(grid, config_.spatial_merge_size, add_patch);
  const int n = grid.num_patches();
  const auto rows = mx::reshape(pos_embed_(mx::array(indices.begin(), {4 * n}, mx::int32)),
                                {n, 4, config_.hidden_size});
  return mx::sum(rows * mx::astype(mx::array(weights.begin(), {n, 4, 1}, mx::float32), dtype_), 1);
}

// Half of the frequencies turn with the patch's row, half with its column.
kernels::RopeAngles Qwen3VLVision::rotary_angles(
    std::span<const media::Patches* const> pictures) const {
  const int head_dim = config_.hidden_size / config_.num_heads, quarter = head_dim / 4;
  std::vector<float> angles;  // [n, head_dim / 2]
  const auto add_axis = [&](int position) {
    for (int i = 0; i < quarter; ++i)
      angles.push_back(static_cast<float>(position) /
                       std::pow(rotary_theta, 2.0f * static_cast<float>(i) /
                                                  (static_cast<float>(head_dim) / 2.0f)));
  };
  const auto add_patch = [&](int y, int x) {
    add_axis(y);
    add_axis(x);
  };
  int n = 0;
  for (const auto* picture : pictures) {
    const auto& grid = picture->grid;
    for (int t = 0; t < grid.t; ++t) for_each_patch(grid, config_.spatial_merge_size, add_patch);
    n += grid.num_patches();
  }
  const mx::array all(angles.begin(), {n, 1, 2 * quarter}, mx::float32);
  return {mx::cos(all), mx::sin(all), std::nullopt, rotary_theta};
}

mx::array Qwen3VLVision::embed(const media::Patches& patches) const {
  return patch_embed_(normalized(patches)) + position_embedding(patches.grid);
}

// All pictures' patches side by side; attention alone keeps them apart.
class Qwen3VLVision::Pass final : public Encoding {
 public:
  Pass(const Qwen3VLVision& tower, std::span<const media::Patches* const> pictures)
      : tower_(tower), angles_(tower.rotary_angles(pictures)), h_(embedded(tower, pictures)) {
    const int merge = tower.config_.spatial_merge_size;
    int end = 0, merged_end = 0;
    for (const auto* picture : pictures) {
      const auto& grid = picture->grid;
      for (int t = 0; t < grid.t; ++t) frame_ends_.push_back(end += grid.h * grid.w);
      merged_ends_.push_back(merged_end += grid.num_patches() / (merge * merge));
    }
  }

  bool advance() override {
    const auto& tower = tower_;
    if (next_ == tower.config_.depth) return false;
    const auto& block = tower.blocks_[static_cast<std::size_t>(next_)];
    h_ = block.attn(h_, block.norm1(h_), angles_, frame_ends_);
    h_ = block.linear_fc2.add_to(h_, block.linear_fc1(block.norm2(h_), nn::Activation::gelu_tanh));
    const auto& taps = tower.config_.deepstack_visual_indexes;
    const auto tap = std::find(taps.begin(), taps.end(), next_);
    if (tap != taps.end())
      deepstack_.push_back(
          tower.deepstack_mergers_[static_cast<std::size_t>(tap - taps.begin())](h_));
    std::vector<mx::array> computed = deepstack_;
    computed.push_back(h_);
    mx::eval(std::move(computed));
    return ++next_ < tower.config_.depth;
  }

  std::vector<MediaFeatures> take() override {
    const auto embeddings = tower_.merger_(h_);
    std::vector<MediaFeatures> pictures;
    int begin = 0;
    for (const int end : merged_ends_) {
      const auto part = [&](const mx::array& x) {
        // A copy: a view would hold all pictures' rows for as long as one of them is kept.
        return merged_ends_.size() == 1
                   ? x
                   : mx::contiguous(mx::slice(x, {begin, 0}, {end, x.shape(1)}));
      };
      MediaFeatures features{part(embeddings), {}};
      for (const auto& tap : deepstack_) features.deepstack.push_back(part(tap));
      auto arrays = features.deepstack;
      arrays.push_back(features.embeddings);
      mx::eval(std::move(arrays));
      pictures.push_back(std::move(features));
      begin = end;
    }
    return pictures;
  }

 private:
  static mx::array embedded(const Qwen3VLVision& tower,
                            std::span<const media::Patches* const> pictures) {
    std::vector<mx::array> parts;
    for (const auto* picture : pictures) parts.push_back(tower.embed(*picture));
    return parts.size() == 1 ? parts.front() : mx::concatenate(std::move(parts), 0);
  }

  const Qwen3VLVision& tower_;
  kernels::RopeAngles angles_;
  std::vector<int> frame_ends_;   ///< of patches
  std::vector<int> merged_ends_;  ///< of pictures, in merged rows
  mx::array h_;                   ///< [n, Dv]
  std::vector<mx::array> deepstack_;
  int next_ = 0;  ///< block
};

std::unique_ptr<Encoding> Qwen3VLVision::start(
    std::span<const media::Patches* const> pictures) const {
  return std::make_unique<Pass>(*this, pictures);
}

}  // namespace pippin::models
