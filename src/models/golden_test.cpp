// Our models against the reference implementations: tests/golden (made by tools/golden; the format
// is described there).
#include <gtest/gtest.h>

#include "kernels/emulated/emulation.h"
#include "models/testing.h"

namespace pippin::models {
namespace {

using pippin::testing::max_abs_difference;
using pippin::testing::to_vector;

using testing::Case;
using testing::golden_dir;
using testing::Part;
using testing::to_ints;

// The reference computes in float32 whatever the stored weights are, and so do we here; what is
// left is the order of summation. 1e-4 of the logits' scale is the bound of the project for equal
// arithmetic.
constexpr float tolerance = 1e-4f;

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

// A base before the bench, whose model uses the kernels.
struct Kernels {
  std::unique_ptr<kernels::gpu::UseExecutor> kernels;
};

// A checkpoint and its golden data.
class Golden : public ::testing::TestWithParam<GoldenParam>,
               protected Kernels,
               protected testing::Bench {
 protected:
  Golden()
      : Kernels{kernels_of(GetParam().how)},
        Bench(golden_dir / checkpoint(), options_of(GetParam().how), {mx::float32}),
        arrays_(golden_dir / (checkpoint() + ".golden.safetensors")) {
    const auto info = read_json_object(golden_dir / (checkpoint() + ".golden.json"));
    const auto config = read_json_object(golden_dir / checkpoint() / "config.json");
    const auto* text = Members(config).object("text_config");
    const auto& decoder = text ? *text : config;
    has_experts_ = decoder.contains("num_experts_per_tok") ||
                   Members(decoder).boolean("enable_moe_block").value_or(false);
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

  mx::array golden(const Case& c, const std::string& kind) const {
    return arrays_.tensor(c.name + "." + kind);
  }

  bool has(const std::string& name) const {
    return std::find(arrays_.names().begin(), arrays_.names().end(), name) != arrays_.names().end();
  }

  void expect_logits(const mx::array& got, const mx::array& wanted, const std::string& what) const {
    EXPECT_LE(max_abs_difference(to_vector(got), to_vector(wanted)), tolerance * scale_) << what;
  }

  nn::SafetensorsFile arrays_;
  std::vector<Case> cases_;
  float scale_ = 0;
  bool has_experts_ = false;
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
      const auto& all = features(c);
      expect_logits(all.embeddings, golden(c, "features"), c.name + ".features");
      if (has(c.name + ".deepstack"))
        expect_logits(mx::stack(all.deepstack), golden(c, "deepstack"), c.name + ".deepstack");
      else
        EXPECT_TRUE(all.deepstack.empty()) << c.name;
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
    wanted.push_back(mx::slice(golden(*part.c, "decode_logits"), {0, 0}, {1, traits().vocab_size}));
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
// rotation costs all of it. Where a router chooses, a small error may send one of a prompt's seven rows to another
// expert: a share of a tenth may be.
TEST_P(Golden, QuantizedPagesDriftLittle) {
  for (const int bits : {8, 4}) {
    use_pools({mx::float32, bits});
    float largest = 0;
    for (const auto& c : cases_)
      largest = std::max(largest, drift(step({whole(c, 0)}), golden(c, "logits")));
    RecordProperty("drift_" + std::to_string(bits) + "_bits", std::to_string(largest));
    EXPECT_LE(largest, bits == 4 ? 0.6f : has_experts_ ? 0.1f : 0.03f) << bits;
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
  auto names = testing::checkpoints();
  for (const char* name : testing::family_checkpoints()) names.push_back(name);
  for (const char* name : names)
    for (const How how : {How::mlx, How::cpu, How::gpu})
      // Emulated kernels are slowest under sanitizers. The tests of kernels/gpu run their shapes there.
      if (!sanitized || how != How::gpu || std::string(name) == "llama-bf16")
        all.push_back({name, how});
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
