// A text model as part of a larger checkpoint's config and names is the same model.
#include <gtest/gtest.h>

#include "base/json.h"
#include "models/testing.h"
#include "nn/testing.h"

namespace pippin::models {
namespace {

namespace fs = std::filesystem;

// `text` as mistral3's text part, as Hugging Face names it.
void wrap(const fs::path& text, const pippin::testing::TempDir& dir) {
  auto inner = read_json_object(text / "config.json");
  dir.write("config.json", json::serialize(json::value{{"model_type", "mistral3"},
                                                       {"eos_token_id", inner.at("eos_token_id")},
                                                       {"text_config", inner}}));
  std::unordered_map<std::string, mx::array> renamed;
  for (auto [name, array] : mx::load_safetensors((text / "model.safetensors").string()).first)
    renamed.emplace(name.starts_with("model.") ? "model.language_model." + name.substr(6) : name,
                    std::move(array));
  mx::save_safetensors((dir.path() / "model.safetensors").string(), renamed);
}

std::vector<float> logits_of(const fs::path& model) {
  testing::Bench bench(model, {}, {mx::float32});
  testing::Case c;
  for (int i = 0; i < 9; ++i) c.tokens.push_back((i * 37 + 11) % 96);
  return pippin::testing::to_vector(bench.step({bench.whole(c, 0)}));
}

TEST(WrappedModel, Mistral3OfMistral4IsMistral4) {
  const pippin::testing::TempDir dir;
  const auto text = testing::golden_dir / "mistral4-bf16";
  wrap(text, dir);
  EXPECT_EQ(logits_of(dir.path()), logits_of(text));
}

}  // namespace
}  // namespace pippin::models
