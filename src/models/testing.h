// Tiny checkpoints of tests/golden, run step by step as the engine runs a model. For tests only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/sanitized.h"
#include "kernels/layout.h"
#include "kernels/testing.h"
#include "media/image_processor.h"
#include "media/video_processor.h"
#include "models/positions.h"
#include "models/registry.h"
#include "nn/safetensors.h"

namespace pippin::models::testing {

inline const std::filesystem::path golden_dir =
    std::filesystem::path(PIPPIN_SOURCE_DIR) / "tests/golden";
inline const std::filesystem::path demo_model =
    std::filesystem::path(PIPPIN_SOURCE_DIR) / "assets/demo-model";
inline constexpr int page_size = 16;

/// All of tests/golden. Under sanitizers one of each family and each kind of weights: release builds prove the values of all, and the
/// tests of kernels/ and nn/ run every shape and format under sanitizers.
inline std::vector<const char*> checkpoints() {
  if (sanitized)
    return {"qwen3-f16",       "qwen3-mlx-mixed", "qwen3_vl-mlx-4bit",
            "llama-bf16",      "qwen2-bf16",      "gemma3_text-mlx-8bit",
            "ministral3-bf16", "lfm2-bf16",       "qwen3_5-f32"};
  return {"qwen3-f32",         "qwen3-bf16-sharded", "qwen3-f16",
          "qwen3-mlx-4bit",    "qwen3-mlx-4bit-g32", "qwen3-mlx-8bit",
          "qwen3-mlx-mixed",   "qwen3_vl-f32",       "qwen3_vl-mlx-4bit",
          "qwen3_vl-mlx-8bit", "llama-bf16",         "mistral-mlx-4bit",
          "qwen2-bf16",        "gemma3_text-bf16",   "gemma3_text-mlx-8bit",
          "lfm2-bf16",         "lfm2-mlx-4bit",      "ministral3-bf16",
          "mistral3-bf16",     "qwen3_5-f32",        "qwen3_5-mlx-4bit"};
}

/// Those of the families beyond Qwen3, Llama and Gemma 3 (tools/golden/families.py). Under sanitizers what takes paths of its own: experts,
/// floating-point codes, parallel blocks.
inline std::vector<const char*> family_checkpoints() {
  if (sanitized)
    return {
        "qwen3_moe-mlx-4bit",      "gpt_oss-bf16",    "cohere2-bf16",        "nemotron_h_moe-bf16",
        "qwen3_5_vision-mlx-4bit", "gemma4-mlx-4bit", "deepseek_v2-mlx-8bit"};
  return {"qwen3_moe-bf16",
          "qwen3_moe-mlx-4bit",
          "qwen3_moe-mlx-nvfp4",
          "qwen2_moe-bf16",
          "mixtral-bf16",
          "olmoe-mlx-8bit",
          "granite-bf16",
          "granitemoe-bf16",
          "falcon_h1-bf16",
          "falcon_h1-mlx-4bit",
          "hunyuan_v1_dense-bf16",
          "glm4_moe-bf16",
          "gpt_oss-bf16",
          "gpt_oss-mlx-mxfp4",
          "qwen3-mlx-mxfp4",
          "qwen3-mlx-mxfp8",
          "smollm3-bf16",
          "phi3-bf16",
          "olmo2-bf16",
          "olmo3-bf16",
          "glm4-bf16",
          "exaone4-bf16",
          "cohere2-bf16",
          "seed_oss-bf16",
          "ernie4_5-bf16",
          "gemma2-bf16",
          "qwen3_vl_moe-bf16",
          "nemotron_h-bf16",
          "nemotron_h_moe-bf16",
          "nemotron_h-mlx-4bit",
          "qwen3_5_vision-bf16",
          "qwen3_5_vision-mlx-4bit",
          "qwen3_5_moe-bf16",
          "qwen3_next-bf16",
          "qwen3_next-mlx-4bit",
          "lfm2_moe-bf16",
          "granitemoehybrid-bf16",
          "granitemoehybrid-mlx-4bit",
          "minimax-bf16",
          "bailing_moe-bf16",
          "muse_glimmer-bf16",
          "glm4_moe_lite-bf16",
          "glm4_moe_lite-mlx-4bit",
          "deepseek_v2-bf16",
          "deepseek_v2-mlx-8bit",
          "deepseek_v3-bf16",
          "kimi_k2-mlx-4bit",
          "mistral4-bf16",
          "gemma3n-bf16",
          "gemma4_text-bf16",
          "gemma4-bf16",
          "gemma4-mlx-4bit"};
}

/// A prompt, with a placeholder token for each row of its pictures and clips.
struct Case {
  std::string name;
  std::vector<std::int32_t> tokens;
  std::vector<std::string> pictures;  ///< names in pictures.safetensors
  int rope_delta = 0;
};

inline std::vector<std::int32_t> to_ints(mx::array x) {
  x = mx::contiguous(mx::astype(x, mx::int32));
  x.eval();
  return {x.data<std::int32_t>(), x.data<std::int32_t>() + x.size()};
}

/// Patches of a picture (rgb [H, W, 3]), or of each temporal patch of a clip (rgb [T, H, W, 3]).
inline std::vector<media::Patches> patches_of(const std::filesystem::path& dir,
                                              const std::string& picture) {
  const nn::SafetensorsFile pictures(golden_dir / "pictures.safetensors");
  const auto rgb = pictures.tensor(picture + ".rgb");
  const int height = rgb.shape(-3), width = rgb.shape(-2);
  const auto frame_bytes = std::ptrdiff_t{height} * width * 3;
  std::vector<Pixels> frames;
  for (const auto* at = rgb.data<std::uint8_t>(); at != rgb.data<std::uint8_t>() + rgb.size();
       at += frame_bytes)
    frames.push_back({height, width, {at, at + frame_bytes}});
  if (rgb.ndim() == 3)
    return {media::make_patches(frames[0], media::ImageProcessorConfig::load(dir))};
  const auto config = media::VideoProcessorConfig::load(dir);
  const auto size = media::video_frame_size(frames.size(), {height, width}, config);
  std::vector<media::Patches> all;
  for (std::size_t i = 0; i < media::num_temporal_patches(frames.size(), config); ++i)
    all.push_back(
        media::make_patches(media::temporal_patch(frames, i, config), size, config.frames));
  return all;
}

/// Rows of a picture among the prompt's.
inline int rows_of_picture(const std::filesystem::path& dir, const std::string& picture) {
  const int merge = media::ImageProcessorConfig::load(dir).merge_size;
  return patches_of(dir, picture).front().grid.num_patches() / (merge * merge);
}

/// One sequence's part of a step: rows [begin, end) of its tokens.
struct Part {
  const Case* c;
  std::vector<std::int32_t> tokens;  ///< the prompt and what was decoded so far
  int begin, end;
  std::vector<std::int32_t> pages;
};

/// A model and a KV cache in which sequences get pages from a shuffled pool.
class Bench {
 public:
  Bench(std::filesystem::path model_dir, nn::LoadOptions options, const nn::KvStorage& kv)
      : dir_(std::move(model_dir)),
        options_(std::move(options)),
        model_(load_model(dir_, options_)),
        state_(make_state(kv)) {}

  const Model& model() const { return *model_; }
  const ModelTraits& traits() const { return model_->traits(); }
  void use_pools(const nn::KvStorage& kv) { state_ = make_state(kv); }

  /// The places of its pictures.
  std::vector<MediaSpan> spans(const Case& c) const {
    std::vector<MediaSpan> result;
    std::int64_t from = 0;
    for (const auto& one : patches(c)) {
      auto grid = one.grid;
      grid.h /= model_->traits().merge_size;
      grid.w /= model_->traits().merge_size;
      while (!is_place(c.tokens[static_cast<std::size_t>(from)])) ++from;
      result.push_back({from, grid.num_patches(), grid});
      from += grid.num_patches();
    }
    return result;
  }

  /// What the vision tower makes of the case's pictures, all of them side by side; computed once.
  const MediaFeatures& features(const Case& c) {
    const auto known = features_.find(c.name);
    return known != features_.end() ? known->second
                                    : features_.emplace(c.name, encoded(c)).first->second;
  }

  std::vector<std::int32_t> pages_for(int sequence) const {
    std::vector<std::int32_t> pages;
    for (int i = 0; i < pages_each; ++i)
      pages.push_back(((sequence * pages_each + i) * 37) % num_pages);
    return pages;
  }

  /// Logits of every row of the parts, [T, V].
  mx::array step(const std::vector<Part>& parts) {
    std::vector<std::int32_t> tokens, rows;
    std::vector<std::vector<std::int32_t>> positions(
        static_cast<std::size_t>(traits().position_axes));
    std::vector<kernels::ContextRows> contexts;
    std::vector<MediaRows> media;
    std::vector<kernels::StateRows> states;
    bool one_axis = true;
    for (const auto& part : parts) {
      const auto at =
          traits().positions(static_cast<std::int64_t>(part.c->tokens.size()), spans(*part.c));
      one_axis = one_axis && at.one_axis(part.begin, part.end);
      add_media(part, static_cast<int>(tokens.size()), media);
      for (int i = part.begin; i < part.end; ++i) {
        rows.push_back(static_cast<std::int32_t>(tokens.size()));
        tokens.push_back(part.tokens[static_cast<std::size_t>(i)]);
        for (int axis = 0; axis < traits().position_axes; ++axis)
          positions[static_cast<std::size_t>(axis)].push_back(at.at(axis, i));
      }
      contexts.push_back({part.pages, part.end, part.end - part.begin});
      states.push_back({slot_of(part), static_cast<int>(tokens.size()) - part.end + part.begin,
                        part.end - part.begin});
    }
    const int T = static_cast<int>(tokens.size());
    std::vector<std::int32_t> flat;
    for (const auto& axis : positions) flat.insert(flat.end(), axis.begin(), axis.end());
    const StepInput input{mx::array(tokens.begin(), {T}, mx::int32),
                          mx::array(flat.begin(), {traits().position_axes, T}, mx::int32),
                          one_axis,
                          mx::array(rows.begin(), {T}, mx::int32),
                          kernels::make_layout(contexts, page_size, options_.cpu, by_gpu_kernels()),
                          media,
                          states};
    auto logits = model_->forward(input, state_);
    logits.eval();
    return logits;
  }

  Part whole(const Case& c, int sequence) const {
    return {&c, c.tokens, 0, static_cast<int>(c.tokens.size()), pages_for(sequence)};
  }

 private:
  nn::ModelState make_state(const nn::KvStorage& storage) const {
    return {traits().layers, {num_pages, page_size, num_slots}, storage};
  }

  // A sequence is known by its first page; at its beginning its state is empty.
  std::int32_t slot_of(const Part& part) {
    const auto next = static_cast<std::int32_t>(slots_.size()) % num_slots;
    const auto slot = slots_.try_emplace(part.pages.front(), next).first->second;
    if (part.begin == 0) state_.slots().clear_pages({&slot, 1});
    return slot;
  }

  // As the engine decides for float32 pools.
  bool by_gpu_kernels() const { return nn::by_gpu_kernels(traits().layers, {mx::float32}); }

  std::vector<media::Patches> patches(const Case& c) const {
    std::vector<media::Patches> all;
    for (const auto& picture : c.pictures)
      for (auto& one : patches_of(dir_, picture)) all.push_back(std::move(one));
    return all;
  }

  bool is_place(std::int32_t token) const {
    return token == *model_->traits().image_token || token == model_->traits().video_tokens->pad;
  }

  MediaFeatures encoded(const Case& c) const {
    std::vector<mx::array> embeddings;
    std::vector<std::vector<mx::array>> deepstack;
    for (const auto& input : patches(c)) {
      auto one = model_->encode(input);
      embeddings.push_back(one.embeddings);
      deepstack.resize(one.deepstack.size());
      for (std::size_t i = 0; i < deepstack.size(); ++i) deepstack[i].push_back(one.deepstack[i]);
    }
    MediaFeatures all{mx::concatenate(embeddings, 0), {}};
    for (auto& taps : deepstack) all.deepstack.push_back(mx::concatenate(taps, 0));
    return all;
  }

  // The part of the case's picture rows that lies in [begin, end).
  void add_media(const Part& part, int first_row, std::vector<MediaRows>& media) {
    std::vector<std::int32_t> rows, sources;
    std::int32_t source = 0;
    for (const auto& span : spans(*part.c))
      for (std::int64_t i = span.begin; i < span.begin + span.length; ++i, ++source)
        if (i >= part.begin && i < part.end) {
          rows.push_back(first_row + static_cast<std::int32_t>(i) - part.begin);
          sources.push_back(source);
        }
    if (rows.empty()) return;
    const int N = static_cast<int>(rows.size());
    const mx::array index(sources.begin(), {N}, mx::int32);
    const auto& all = features(*part.c);
    MediaFeatures chosen{mx::take(all.embeddings, index, 0), {}};
    for (const auto& tap : all.deepstack) chosen.deepstack.push_back(mx::take(tap, index, 0));
    media.push_back({mx::array(rows.begin(), {N}, mx::int32), std::move(chosen)});
  }

  static constexpr int num_pages = 101, pages_each = 12,
                       num_slots = 8;  // 37 is coprime to 101: page numbers never repeat
  std::filesystem::path dir_;
  nn::LoadOptions options_;
  std::unique_ptr<Model> model_;
  nn::ModelState state_;
  std::map<std::int32_t, std::int32_t> slots_;     ///< by first page
  std::map<std::string, MediaFeatures> features_;  ///< by case
};

}  // namespace pippin::models::testing
