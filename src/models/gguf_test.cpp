// Checkpoints in GGUF against their twins in safetensors: the same numbers under Hugging Face's names and config.json, both
// written by tools/formats/make_checkpoints.py.
#include <gtest/gtest.h>

#include "gguf/model_files.h"
#include "models/registry.h"
#include "models/testing.h"

namespace pippin::models {
namespace {

using pippin::testing::max_abs_difference;
using pippin::testing::to_vector;
using testing::Bench;
using testing::Case;

const std::filesystem::path folder = testing::golden_dir / "gguf";

class GgufModel : public ::testing::TestWithParam<const char*> {
 protected:
  std::vector<float> logits(const std::filesystem::path& model, bool on_cpu) {
    nn::LoadOptions options;
    if (on_cpu)
      options.cpu = std::make_shared<kernels::CpuBackend>(
          kernels::CpuOptions{.threads = 2, .exact_activations = true});
    Prompt prompt(model, options);
    return prompt.logits();
  }

  struct Prompt : Bench {
    Prompt(const std::filesystem::path& model, const nn::LoadOptions& options)
        : Bench(model, options, {mx::float32}) {
      for (int i = 0; i < 21; ++i) c_.tokens.push_back((i * 37 + 11) % 96);
    }
    std::vector<float> logits() { return to_vector(step({whole(c_, 0)})); }
    Case c_;
  };
};

TEST_P(GgufModel, HasItsTwinsLogits) {
  const auto wanted = logits(folder / GetParam(), false);
  float scale = 0;
  for (const float x : wanted) scale = std::max(scale, std::abs(x));
  EXPECT_GT(scale, 0.1f);
  for (const bool on_cpu : {false, true})
    EXPECT_LT(
        max_abs_difference(logits(folder / (std::string(GetParam()) + ".gguf"), on_cpu), wanted),
        1e-4f * scale)
        << (on_cpu ? "CPU kernels" : "MLX");
}

INSTANTIATE_TEST_SUITE_P(Families, GgufModel,
                         ::testing::Values("llama", "llama-bias", "mixtral", "qwen2", "qwen3",
                                           "qwen3moe", "qwen35", "gemma2", "gemma3", "gpt-oss"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace pippin::models
