// Oracle: what mlx-lm's convert makes of the same checkpoints (tools/formats/make_conversions.py).
#include "models/convert.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/json.h"
#include "models/testing.h"
#include "nn/open_tensors.h"
#include "nn/testing.h"

namespace pippin::models {
namespace {

using pippin::testing::error_message;
using pippin::testing::TempDir;
namespace fs = std::filesystem;

const fs::path twins = testing::golden_dir / "gguf";

// FNV-1a of the bytes.
std::string digest(const mx::array& array) {
  std::uint64_t value = 0xcbf29ce484222325u;
  const auto* bytes = array.data<std::uint8_t>();
  for (std::size_t i = 0; i < array.nbytes(); ++i) value = (value ^ bytes[i]) * 0x100000001b3u;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

std::string name_of(mx::Dtype dtype) {
  if (dtype == mx::float32) return "float32";
  if (dtype == mx::float16) return "float16";
  if (dtype == mx::bfloat16) return "bfloat16";
  return dtype == mx::uint8 ? "uint8" : "uint32";
}

// Our options for those of mlx-lm.
ConvertOptions options_of(const json::object& theirs) {
  const Members members(theirs);
  ConvertOptions options;
  options.quantize = members.boolean("quantize").value_or(false);
  options.bits = members.integer_or("q_bits", 0);
  options.group_size = members.integer_or("q_group_size", 0);
  options.mode = members.string("q_mode").value_or("affine");
  options.recipe = members.string("quant_predicate").value_or("");
  options.dtype = members.string("dtype").value_or("");
  return options;
}

json::object tensors_of(const fs::path& folder) {
  json::object tensors;
  for (const auto& file : nn::open_tensors(folder, {}, true))
    for (const auto& name : file->names()) {
      const auto& shape = file->shape(name);
      tensors[name] = {name_of(file->dtype(name)), json::array(shape.begin(), shape.end()),
                       digest(file->tensor(name))};
    }
  return tensors;
}

class Convert : public ::testing::TestWithParam<const char*> {};

TEST_P(Convert, WritesWhatMlxLmWrites) {
  const auto wanted =
      read_json_object(testing::golden_dir / "conversions.json").at(GetParam()).as_object();
  const TempDir dir;
  const auto twin = twins / json::value_to<std::string>(wanted.at("twin"));
  auto options = options_of(wanted.at("options").as_object());
  double done = 0;
  options.progress = [&](double fraction) { done = fraction; };
  convert(twin, dir.path() / "result", options);
  EXPECT_EQ(done, 1.0);
  const auto tensors = tensors_of(dir.path() / "result");
  EXPECT_EQ(tensors.size(), wanted.at("tensors").as_object().size());
  for (const auto& [name, tensor] : wanted.at("tensors").as_object())
    EXPECT_EQ(tensors.contains(name) ? tensors.at(name) : json::value(), tensor) << name;
  auto config = read_json_object(twin / "config.json");
  for (const auto& [key, value] : wanted.at("added").as_object()) config[key] = value;
  EXPECT_EQ(json::value(read_json_object(dir.path() / "result" / "config.json")),
            json::value(config));
  const auto index = read_json_object(dir.path() / "result" / "model.safetensors.index.json");
  EXPECT_EQ(index.at("metadata"), wanted.at("metadata"));
  EXPECT_EQ(index.at("weight_map").as_object().size(), tensors.size());
}

INSTANTIATE_TEST_SUITE_P(Cases, Convert,
                         ::testing::Values("llama-4bit", "qwen3-mixed", "qwen3-mxfp4",
                                           "qwen3-nvfp4-bf16", "qwen3moe-8bit", "mixtral-plain",
                                           "gemma3-3bit", "granite-plain", "hunyuan-plain",
                                           "ministral3-plain", "deepseek_v2-plain", "gemma4-plain"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Conversion, CutsFilesAndCopiesTheRest) {
  const TempDir dir;
  fs::copy(twins / "qwen2", dir.path() / "source");
  dir.write("source/tokenizer_config.json", "{}");
  dir.write("source/generation_config.json", R"({"eos_token_id": [1, 2]})");
  ConvertOptions options;
  options.file_bytes = 10000;
  convert(dir.path() / "source", dir.path() / "result", options);
  EXPECT_GT(nn::open_tensors(dir.path() / "result", {}, true).size(), 3u);
  EXPECT_EQ(tensors_of(dir.path() / "result"), tensors_of(dir.path() / "source"));
  EXPECT_TRUE(fs::exists(dir.path() / "result" / "tokenizer_config.json"));
  EXPECT_EQ(read_json_object(dir.path() / "result" / "config.json").at("eos_token_id"),
            (json::value{1, 2}));
}

// What mlx-lm writes is what we load: the numbers are the same on both ways.
TEST(Conversion, LeavesTheLogitsAsTheyAre) {
  for (const char* name : {"deepseek_v2-bf16", "gemma4_text-bf16", "hunyuan_v1_dense-bf16"}) {
    const TempDir dir;
    convert(testing::golden_dir / name, dir.path() / "result", {});
    const auto logits = [](const fs::path& model) {
      testing::Bench bench(model, {}, {mx::float32});
      testing::Case c;
      for (int i = 0; i < 9; ++i) c.tokens.push_back((i * 37 + 11) % 96);
      return pippin::testing::to_vector(bench.step({bench.whole(c, 0)}));
    };
    EXPECT_EQ(logits(dir.path() / "result"), logits(testing::golden_dir / name)) << name;
  }
}

TEST(Conversion, RefusesByNameAndLeavesNothing) {
  const TempDir dir;
  const auto refused = [&](const fs::path& source, const ConvertOptions& options) {
    const auto message = error_message([&] { convert(source, dir.path() / "result", options); });
    EXPECT_FALSE(fs::exists(dir.path() / "result"));
    EXPECT_FALSE(fs::exists(dir.path() / "result.partial"));
    return message;
  };
  const auto expect = [](const std::string& message, const char* part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  ConvertOptions quantize;
  quantize.quantize = true;
  auto options = quantize;
  options.bits = 7;
  expect(refused(twins / "qwen3", options), "7 bits");
  options = quantize;
  options.recipe = "mixed_9_9";
  expect(refused(twins / "qwen3", options), "mixed_4_6");
  options.recipe = "mixed_4_6";
  options.mode = "mxfp4";
  expect(refused(twins / "qwen3", options), "recipe");
  options = {};
  options.dtype = "int3";
  expect(refused(twins / "qwen3", options), "int3");
  expect(refused(twins / "gpt-oss", quantize), "'gpt_oss'");
  expect(refused(testing::golden_dir / "qwen3-mlx-4bit", quantize), "quantized already");
  expect(refused(twins / "qwen3.gguf", quantize), "quantized already");
  expect(error_message([&] { convert(twins / "qwen3", twins / "qwen3", {}); }), "exists already");
  // Half-way: a tensor that is cut off.
  fs::copy(twins / "mixtral", dir.path() / "source");
  auto bad = mx::load_safetensors((dir.path() / "source" / "model.safetensors").string()).first;
  const std::string gone = "model.layers.1.block_sparse_moe.experts.2.w1.weight";
  ASSERT_EQ(bad.erase(gone), 1u);
  for (auto& [name, array] : bad) array.eval();
  mx::save_safetensors((dir.path() / "source" / "other.safetensors").string(), bad);
  fs::remove(dir.path() / "source" / "model.safetensors");
  expect(refused(dir.path() / "source", {}), "experts.3.w1");
}

}  // namespace
}  // namespace pippin::models
