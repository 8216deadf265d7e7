// Our models against the reference implementations: tests/golden (made by tools/golden; the format
// is described there).
#include <gtest/gtest.h>

#include "base/json.h"
#include "kernels/layout.h"
#include "kernels/testing.h"
#include "media/image_processor.h"
#include "media/video_processor.h"
#include "models/positions.h"
#include "models/registry.h"
#include "nn/safetensors.h"

namespace pippin::models {
namespace {

using pippin::testing::max_abs_difference;
using pippin::testing::to_vector;

const std::filesystem::path golden_dir = std::filesystem::path(PIPPIN_SOURCE_DIR) / "tests/golden";
constexpr int page_size = 16;

// The reference computes in float32 whatever the stored weights are, and so do we here; what is
// left is the order of summation. 1e-4 of the logits' scale is the bound of the project for equal
// arithmetic.
constexpr float tolerance = 1e-4f;

struct Case {
  std::string name;
  std::vector<std::int32_t> tokens;
  std::vector<std::string> pictures;
  int rope_delta;
};

std::vector<std::int32_t> to_ints(mx::array x) {
  x = mx::contiguous(mx::astype(x, mx::int32));
  x.eval();
  return {x.data<std::int32_t>(), x.data<std::int32_t>() + x.size()};
}

/// What multiplies by the weights.
enum class How {
  mlx,       ///< MLX's operations
  cpu,       ///< the CPU's kernels, activations in float32
  cpu_fast,  ///< the same with activations in 8 bits or bf16
  gpu,       ///< MLX's operations and our GPU kernels, emulated
};

struct GoldenParam {
  const char* checkpoint;
  How how;
};

nn::LoadOptions options_of(How how) {
  nn::LoadOptions options;
  if (how == How::cpu || how == How::cpu_fast)
    options.cpu = std::make_shared<kernels::CpuBackend>(
        kernels::CpuOptions{.threads = 2, .exact_activations = how == How::cpu});
  return options;
}

std::unique_ptr<kernels::gpu::UseExecutor> kernels_of(How how) {
  if (how != How::gpu) return nullptr;
  return std::make_unique<kernels::gpu::UseExecutor>(kernels::gpu::emulated_executor());
}

// A checkpoint, its golden data and a KV cache in which sequences get pages from a shuffled pool.
class Golden : public ::testing::TestWithParam<GoldenParam> {
 protected:
  Golden()
      : arrays_(golden_dir / (checkpoint() + ".golden.safetensors")),
        pictures_(golden_dir / "pictures.safetensors"),
        kernels_(kernels_of(GetParam().how)),
        options_(options_of(GetParam().how)),
        model_(load_model(golden_dir / checkpoint(), options_)),
        cache_(make_cache({mx::float32})) {
    const auto info = read_json_object(golden_dir / (checkpoint() + ".golden.json"));
    scale_ = static_cast<float>(info.at("logit_scale").to_number<double>());
    for (const auto& value : info.at("cases").as_array()) {
      const auto& object = value.as_object();
      Case c{std::string(object.at("name").as_string()),
             {},
             {},
             static_cast<int>(object.at("rope_delta").as_int64())};
      c.tokens = to_ints(arrays_.tensor(c.name + ".tokens"));
      for (const auto& picture : object.at("pictures").as_array())
        c.pictures.emplace_back(picture.as_string());
      cases_.push_back(std::move(c));
    }
  }

  static std::string checkpoint() { return GetParam().checkpoint; }

  nn::KVCache make_cache(const nn::KvStorage& storage) const {
    const auto& traits = model_->traits();
    return {traits.num_layers, num_pages, page_size, traits.num_kv_heads, traits.head_dim, storage};
  }

  // As the engine decides.
  bool by_gpu_kernels() const {
    return kernels::gpu::decodes(kernels::gpu::executor(), model_->traits().head_dim, mx::float32,
                                 mx::float32);
  }

  mx::array golden(const Case& c, const std::string& kind) const {
    return arrays_.tensor(c.name + "." + kind);
  }

  // Of a picture (rgb [H, W, 3]), or of each temporal patch of a clip (rgb [T, H, W, 3]).
  std::vector<media::Patches> patches(const std::string& picture) const {
    const auto rgb = pictures_.tensor(picture + ".rgb");
    const int height = rgb.shape(-3), width = rgb.shape(-2);
    const auto frame_bytes = std::ptrdiff_t{height} * width * 3;
    std::vector<Pixels> frames;
    for (const auto* at = rgb.data<std::uint8_t>(); at != rgb.data<std::uint8_t>() + rgb.size();
         at += frame_bytes)
      frames.push_back({height, width, {at, at + frame_bytes}});
    const auto dir = golden_dir / checkpoint();
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

  std::vector<media::Patches> patches(const Case& c) const {
    std::vector<media::Patches> all;
    for (const auto& picture : c.pictures)
      for (auto& one : patches(picture)) all.push_back(std::move(one));
    return all;
  }

  bool is_place(std::int32_t token) const {
    return token == *model_->traits().image_token || token == model_->traits().video_tokens->pad;
  }

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

  MediaFeatures features(const Case& c) const {
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

  // One sequence's part of a step: rows [begin, end) of its tokens.
  struct Part {
    const Case* c;
    std::vector<std::int32_t> tokens;  ///< prompt and what was decoded so far
    int begin, end;
    std::vector<std::int32_t> pages;
  };

  std::vector<std::int32_t> pages_for(int sequence) const {
    std::vector<std::int32_t> pages;
    for (int i = 0; i < pages_each; ++i)
      pages.push_back(((sequence * pages_each + i) * 37) % num_pages);
    return pages;
  }

  // Logits of every row of the parts, [T, V].
  mx::array step(const std::vector<Part>& parts) {
    std::vector<std::int32_t> tokens, rows;
    std::array<std::vector<std::int32_t>, 3> positions;
    std::vector<kernels::ContextRows> contexts;
    std::vector<MediaRows> media;
    bool one_axis = true;
    for (const auto& part : parts) {
      const auto at =
          mrope_positions(static_cast<std::int64_t>(part.c->tokens.size()), spans(*part.c));
      one_axis = one_axis && at.one_axis(part.begin, part.end);
      add_media(part, static_cast<int>(tokens.size()), media);
      for (int i = part.begin; i < part.end; ++i) {
        rows.push_back(static_cast<std::int32_t>(tokens.size()));
        tokens.push_back(part.tokens[static_cast<std::size_t>(i)]);
        for (int axis = 0; axis < 3; ++axis)
          positions[static_cast<std::size_t>(axis)].push_back(at.at(axis, i));
      }
      contexts.push_back({part.pages, part.end, part.end - part.begin});
    }
    const int T = static_cast<int>(tokens.size());
    std::vector<std::int32_t> flat;
    for (const auto& axis : positions) flat.insert(flat.end(), axis.begin(), axis.end());
    const StepInput input{mx::array(tokens.begin(), {T}, mx::int32),
                          mx::array(flat.begin(), {3, T}, mx::int32),
                          one_axis,
                          mx::array(rows.begin(), {T}, mx::int32),
                          kernels::make_layout(contexts, page_size, options_.cpu, by_gpu_kernels()),
                          media};
    auto logits = model_->forward(input, cache_);
    logits.eval();
    return logits;
  }

  // The part of the case's picture rows that lies in [begin, end).
  void add_media(const Part& part, int first_row, std::vector<MediaRows>& media) const {
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
    auto all = features(*part.c);
    MediaFeatures chosen{mx::take(all.embeddings, index, 0), {}};
    for (const auto& tap : all.deepstack) chosen.deepstack.push_back(mx::take(tap, index, 0));
    media.push_back({mx::array(rows.begin(), {N}, mx::int32), std::move(chosen)});
  }

  Part whole(const Case& c, int sequence) const {
    return {&c, c.tokens, 0, static_cast<int>(c.tokens.size()), pages_for(sequence)};
  }

  void expect_logits(const mx::array& got, const mx::array& wanted, const std::string& what) const {
    EXPECT_LE(max_abs_difference(to_vector(got), to_vector(wanted)), tolerance * scale_) << what;
  }

  static constexpr int num_pages = 101,
                       pages_each = 12;  // 37 is coprime to 101: page numbers never repeat
  nn::SafetensorsFile arrays_, pictures_;
  std::unique_ptr<kernels::gpu::UseExecutor> kernels_;  ///< before the model is used
  nn::LoadOptions options_;
  std::unique_ptr<Model> model_;
  nn::KVCache cache_;
  std::vector<Case> cases_;
  float scale_ = 0;
};

TEST_P(Golden, PositionsFeaturesAndPrefill) {
  for (const auto& c : cases_) {
    if (!c.pictures.empty()) {
      const auto at = mrope_positions(static_cast<std::int64_t>(c.tokens.size()), spans(c));
      const auto wanted = to_ints(golden(c, "positions"));
      std::vector<std::int32_t> got;
      for (const auto& axis : at.prompt) got.insert(got.end(), axis.begin(), axis.end());
      EXPECT_EQ(got, wanted) << c.name;
      EXPECT_EQ(at.delta, c.rope_delta) << c.name;
      const auto all = features(c);
      expect_logits(all.embeddings, golden(c, "features"), c.name + ".features");
      expect_logits(mx::stack(all.deepstack), golden(c, "deepstack"), c.name + ".deepstack");
    }
    expect_logits(step({whole(c, 0)}), golden(c, "logits"), c.name);
  }
}

TEST_P(Golden, ChunkedPrefill) {
  for (const auto& c : cases_)
    for (const int chunk : {1, 7, 16}) {
      const int T = static_cast<int>(c.tokens.size());
      std::vector<mx::array> logits;
      for (int begin = 0; begin < T; begin += chunk)
        logits.push_back(step({{&c, c.tokens, begin, std::min(begin + chunk, T), pages_for(1)}}));
      expect_logits(mx::concatenate(logits, 0), golden(c, "logits"),
                    c.name + " in chunks of " + std::to_string(chunk));
    }
}

TEST_P(Golden, GreedyDecode) {
  for (const auto& c : cases_) {
    const auto wanted = to_ints(golden(c, "decode_tokens"));
    auto part = whole(c, 2);
    auto logits = step({part});
    std::vector<mx::array> steps;
    for (const auto token : wanted) {
      const auto last =
          mx::slice(logits, {logits.shape(0) - 1, 0}, {logits.shape(0), logits.shape(1)});
      ASSERT_EQ(to_ints(mx::argmax(last, -1)).front(), token) << c.name;
      part.tokens.push_back(token);
      part.begin = part.end++;
      steps.push_back(logits = step({part}));
    }
    expect_logits(mx::concatenate(steps, 0), golden(c, "decode_logits"), c.name);
  }
}

// All cases in one ragged batch: prefilled together, then decoding together, and a late one joining
// the decoders.
TEST_P(Golden, BatchOfUnequalLengths) {
  std::vector<Part> parts;
  for (std::size_t i = 0; i + 1 < cases_.size(); ++i)
    parts.push_back(whole(cases_[i], static_cast<int>(i)));
  const auto check = [&](const mx::array& logits, const std::vector<mx::array>& wanted,
                         const std::string& what) {
    expect_logits(logits, mx::concatenate(wanted, 0), what);
  };
  std::vector<mx::array> wanted;
  for (const auto& part : parts) wanted.push_back(golden(*part.c, "logits"));
  check(step(parts), wanted, "prefilled together");

  wanted.clear();
  for (auto& part : parts) {
    part.tokens.push_back(to_ints(golden(*part.c, "decode_tokens")).front());
    part.begin = part.end++;
    wanted.push_back(
        mx::slice(golden(*part.c, "decode_logits"), {0, 0}, {1, model_->traits().vocab_size}));
  }
  const auto& late = cases_.back();
  parts.push_back(whole(late, static_cast<int>(parts.size())));
  wanted.push_back(golden(late, "logits"));
  check(step(parts), wanted, "decoding beside a prefill");
}

// The difference's share of the reference's logits, as lengths.
float drift(const mx::array& got, const mx::array& wanted) {
  return mx::linalg::norm(mx::flatten(got - wanted)).item<float>() /
         mx::linalg::norm(mx::flatten(wanted)).item<float>();
}

// Codes lose 0.5 % (8 bits) and 10 % (4 bits) of a head. It reaches the logits through the keys and the
// values of two layers, four times; and scores of random weights, which no training has made robust, spread over
// several units, by which an error of keys grows. So six times the share is within what may be; a wrong code, scale or
// rotation costs all of it.
TEST_P(Golden, QuantizedPagesDriftLittle) {
  for (const int bits : {8, 4}) {
    cache_ = make_cache({mx::float32, bits});
    float largest = 0;
    for (const auto& c : cases_)
      largest = std::max(largest, drift(step({whole(c, 0)}), golden(c, "logits")));
    RecordProperty("drift_" + std::to_string(bits) + "_bits", std::to_string(largest));
    EXPECT_LE(largest, bits == 8 ? 0.03f : 0.6f) << bits;
    EXPECT_GT(largest, tolerance) << "nothing was quantized";
  }
}

// What a CPU's fast arithmetic costs a picture, in the features' root mean square. Before plain weights bf16
// takes at most 2^-9 of an activation, at random, at a dozen places of these towers; before quantized ones 8
// bits take up to a 254th of their group's largest, some four times as much of most.
class FastFeatures : public Golden {};

TEST_P(FastFeatures, AreNearTheReference) {
  const double bound = checkpoint() == "qwen3_vl-mlx-8bit" ? 0.02 : 0.01;
  for (const auto& c : cases_) {
    if (c.pictures.empty()) continue;
    const auto got = to_vector(features(c).embeddings), wanted = to_vector(golden(c, "features"));
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      difference += std::pow(static_cast<double>(got[i] - wanted[i]), 2);
      size += std::pow(static_cast<double>(wanted[i]), 2);
    }
    EXPECT_LT(std::sqrt(difference / size), bound) << c.name;
  }
}

std::vector<GoldenParam> without_cpu_on_gpu(std::vector<GoldenParam> all) {
  if (mx::default_device() == mx::Device::gpu)
    std::erase_if(all, [](const GoldenParam& param) { return param.how != How::mlx; });
  return all;
}

std::vector<GoldenParam> params() {
  std::vector<GoldenParam> all;
  for (const char* name : {"qwen3-f32", "qwen3-bf16-sharded", "qwen3-f16", "qwen3_vl-f32",
                           "qwen3-mlx-4bit", "qwen3-mlx-4bit-g32", "qwen3-mlx-8bit",
                           "qwen3-mlx-mixed", "qwen3_vl-mlx-4bit", "qwen3_vl-mlx-8bit"})
    for (const How how : {How::mlx, How::cpu, How::gpu}) all.push_back({name, how});
  return without_cpu_on_gpu(std::move(all));
}

std::string name_of(const ::testing::TestParamInfo<GoldenParam>& info) {
  constexpr const char* suffixes[] = {"", "_cpu", "_cpu_fast", "_gpu_emulated"};
  std::string name = info.param.checkpoint;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name + suffixes[static_cast<int>(info.param.how)];
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, Golden, ::testing::ValuesIn(params()), name_of);

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(FastFeatures);  // on a GPU
INSTANTIATE_TEST_SUITE_P(
    Checkpoints, FastFeatures,
    ::testing::ValuesIn(without_cpu_on_gpu({{"qwen3_vl-f32", How::cpu_fast},
                                            {"qwen3_vl-mlx-4bit", How::cpu_fast},
                                            {"qwen3_vl-mlx-8bit", How::cpu_fast}})),
    name_of);

}  // namespace
}  // namespace pippin::models
