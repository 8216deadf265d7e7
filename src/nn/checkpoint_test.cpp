#include "nn/checkpoint.h"

#include <gtest/gtest.h>

#include <string>
#include <unordered_map>

#include "base/json.h"
#include "kernels/testing.h"
#include "nn/layers.h"
#include "nn/testing.h"
#include "pippin/error.h"

namespace pippin::nn {
namespace {

using testing::error_message;
using testing::random_array;
using testing::TempDir;
using testing::to_vector;

std::string same_name(const std::string& name) { return name; }

void save(const TempDir& dir, const std::string& file,
          std::unordered_map<std::string, mx::array> tensors) {
  mx::save_safetensors((dir.path() / file).string(), std::move(tensors));
}

QuantizationConfig quantization(const char* text) {
  return QuantizationConfig::from_json(parse_json(text, "test").as_object());
}

TEST(Checkpoint, TakesEveryTensorOnceAndConvertsFloats) {
  const TempDir dir;
  const auto a = random_array({2, 3}, 1);
  save(dir, "model.safetensors", {{"a", mx::astype(a, mx::bfloat16)}, {"old.b", mx::zeros({4})}});
  const auto rename = [](const std::string& name) {
    return name.starts_with("old.") ? name.substr(4) : name;
  };
  std::vector<double> progress;
  Checkpoint checkpoint(dir.path(), {}, rename,
                        {.progress = [&](double done) { progress.push_back(done); }});
  EXPECT_EQ(checkpoint.size().num_parameters, 10);
  const auto taken = checkpoint.take("a", {2, 3});
  EXPECT_EQ(taken.dtype(), mx::float32);
  EXPECT_EQ(to_vector(taken), to_vector(mx::astype(a, mx::bfloat16)));
  EXPECT_FALSE(checkpoint.has("a"));
  EXPECT_NE(error_message([&] { checkpoint.check_empty(); }).find("'old.b'"), std::string::npos);
  checkpoint.take("b", {4});
  checkpoint.check_empty();
  EXPECT_EQ(progress.back(), 1.0);
}

TEST(Checkpoint, NamesWhatIsMissingOrMisshapen) {
  const TempDir dir;
  save(dir, "model.safetensors", {{"a", mx::zeros({2, 3})}});
  Checkpoint checkpoint(dir.path(), {}, same_name, {});
  EXPECT_NE(error_message([&] { checkpoint.take("b", {1}); }).find("'b' is missing"),
            std::string::npos);
  const auto message = error_message([&] { checkpoint.take("a", {3, 2}); });
  EXPECT_NE(message.find("'a' has shape [2, 3]"), std::string::npos) << message;
  EXPECT_NE(message.find("[3, 2]"), std::string::npos) << message;
}

TEST(Checkpoint, ReadsShardsThroughTheIndex) {
  const TempDir dir;
  save(dir, "one.safetensors", {{"a", mx::zeros({1})}});
  save(dir, "two.safetensors", {{"b", mx::zeros({1})}});
  save(dir, "unrelated.safetensors", {{"c", mx::zeros({1})}});
  dir.write("model.safetensors.index.json",
            R"({"weight_map": {"a": "one.safetensors", "b": "../x/two.safetensors"}})");
  Checkpoint checkpoint(dir.path(), {}, same_name, {});
  EXPECT_TRUE(checkpoint.has("a") && checkpoint.has("b"));
  EXPECT_FALSE(checkpoint.has("c"));

  dir.write("model.safetensors.index.json",
            R"({"weight_map": {"a": "one.safetensors", "b": "three.safetensors"}})");
  EXPECT_NE(
      error_message([&] { Checkpoint(dir.path(), {}, same_name, {}); }).find("three.safetensors"),
      std::string::npos);
}

TEST(Checkpoint, RefusesDuplicatesAndEmptyDirectories) {
  const TempDir dir;
  EXPECT_NE(
      error_message([&] { Checkpoint(dir.path(), {}, same_name, {}); }).find(dir.path().string()),
      std::string::npos);
  save(dir, "one.safetensors", {{"a", mx::zeros({1})}});
  save(dir, "two.safetensors", {{"a", mx::zeros({1})}});
  EXPECT_NE(
      error_message([&] { Checkpoint(dir.path(), {}, same_name, {}); }).find("'a' occurs twice"),
      std::string::npos);
}

TEST(QuantizationConfig, DefaultsAndOverrides) {
  EXPECT_FALSE(quantization("{}").of("x"));
  const auto q = quantization(
      R"({"quantization": {"group_size": 64, "bits": 4, "mode": "affine", "a": {"bits": 8}, "b": false, "c": {"group_size": 32, "bits": 6}}})");
  EXPECT_EQ(q.of("other")->bits, 4);
  EXPECT_EQ(q.of("a")->bits, 8);
  EXPECT_EQ(q.of("a")->group_size, 64);
  EXPECT_EQ(q.of("b")->bits, 0);
  EXPECT_EQ(q.of("c")->group_size, 32);
  EXPECT_NE(
      error_message([] { quantization(R"({"quantization": {"group_size": 64, "bits": 7}})"); }),
      "");
  EXPECT_NE(
      error_message([] { quantization(R"({"quantization": {"group_size": 48, "bits": 4}})"); }),
      "");
  for (const char* config :
       {R"({"quantization": {"group_size": 32, "bits": 4, "mode": "ternary"}})",
        R"({"quantization": {"group_size": 64, "bits": 4, "mode": "mxfp4"}})",
        R"({"quantization": {"group_size": 16, "bits": 8, "mode": "nvfp4"}})"})
    EXPECT_NE(error_message([&] { quantization(config); }), "") << config;
  EXPECT_NE(error_message([] {
              quantization(R"({"quantization_config": {"quant_method": "bitsandbytes"}})");
            }),
            "");
}

TEST(QuantizationConfig, ModesHaveTheirSizes) {
  using kernels::Scheme;
  const auto q =
      quantization(R"({"quantization": {"mode": "mxfp4", "a": {"bits": 8, "group_size": 64},
      "b": {"mode": "nvfp4"}, "c": {"mode": "mxfp8", "bits": 8}}})");
  const auto expect = [&](const char* module, Scheme scheme, int group, int bits) {
    EXPECT_EQ(q.of(module)->scheme, scheme) << module;
    EXPECT_EQ(q.of(module)->group_size, group) << module;
    EXPECT_EQ(q.of(module)->bits, bits) << module;
  };
  expect("other", Scheme::mxfp4, 32, 4);
  expect("a", Scheme::affine, 64, 8);
  expect("b", Scheme::nvfp4, 16, 4);
  expect("c", Scheme::mxfp8, 32, 8);
  const auto published = quantization(R"({"quantization_config": {"quant_method": "mxfp4"}})");
  EXPECT_EQ(published.of("x")->scheme, Scheme::mxfp4);
}

// What the config says of a module and what the file holds must agree, in either direction.
TEST(Linear, HoldsTheConfigAgainstTheTensors) {
  const TempDir dir;
  auto parts = mx::quantize(random_array({8, 64}, 1), 64, 4);
  save(dir, "model.safetensors",
       {{"q.weight", parts[0]}, {"q.scales", parts[1]}, {"q.biases", parts[2]}});
  const auto load = [&](const char* config) {
    Checkpoint checkpoint(dir.path(), quantization(config), same_name, {});
    return Linear::load(checkpoint, "q", 64, 8);
  };
  const auto x = random_array({2, 64}, 2);
  const auto inferred = to_vector(load("{}")(x));
  EXPECT_EQ(inferred, to_vector(load(R"({"quantization": {"group_size": 64, "bits": 4}})")(x)));
  EXPECT_NE(error_message([&] {
              load(R"({"quantization": {"group_size": 64, "bits": 8}})");
            }).find("'q.weight'"),
            std::string::npos);
  EXPECT_NE(error_message([&] {
              load(R"({"quantization": {"group_size": 64, "bits": 4, "q": false}})");
            }).find("'q.scales'"),
            std::string::npos);
}

TEST(Linear, RefusesShapesThatNoQuantizationHas) {
  const TempDir dir;
  auto parts = mx::quantize(random_array({8, 64}, 1), 64, 4);
  save(dir, "model.safetensors",
       {{"q.weight", parts[0]},
        {"q.scales", mx::zeros({8, 100})},
        {"q.biases", mx::zeros({8, 100})}});
  Checkpoint checkpoint(dir.path(), {}, same_name, {});
  EXPECT_NE(error_message([&] { Linear::load(checkpoint, "q", 64, 8); }).find("'q'"),
            std::string::npos);
}

TEST(Checkpoint, RenamesTheModulesOfOverrides) {
  const TempDir dir;
  save(dir, "model.safetensors", {{"a", mx::zeros({1})}});
  const auto rename = [](const std::string& name) {
    return name.starts_with("outer.") ? name.substr(6) : name;
  };
  Checkpoint checkpoint(
      dir.path(),
      quantization(R"({"quantization": {"group_size": 64, "bits": 4, "outer.lm_head": false}})"),
      rename, {});
  EXPECT_EQ(checkpoint.quantization("lm_head")->bits, 0);
}

// Parts one after the other, interleaved, stored the other way round, and in blocks.
TEST(Checkpoint, TakesTensorsApart) {
  const TempDir dir;
  const auto ab = random_array({5, 3}, 1), cd = random_array({2, 4, 3}, 2);
  save(dir, "model.safetensors", {{"ab", ab}, {"cd", cd}, {"e", ab}, {"g", cd}});
  const auto split = [](const std::string& name) -> std::vector<TensorPart> {
    if (name == "ab") return {{"a", -2, 0, 2}, {"b", -2, 2, 5}};
    if (name == "cd") return {{"c", -2, 0, 4, 2}, {"d", -2, 1, 4, 2}};
    if (name == "e") return {{"f", -1, 1, 3, 1, true}};
    if (name == "g") return {{"h", -2, 0, 1, 1, false, 2}, {"i", -2, 1, 2, 1, false, 2}};
    return {};
  };
  Checkpoint checkpoint(dir.path(), {}, same_name, {}, split);
  EXPECT_EQ(checkpoint.size().num_parameters, 2 * (5 * 3 + 2 * 4 * 3));
  const auto expect = [&](const char* name, const mx::Shape& shape, const mx::array& wanted) {
    EXPECT_EQ(checkpoint.shape(name), shape) << name;
    EXPECT_EQ(to_vector(checkpoint.take(name, shape)), to_vector(mx::contiguous(wanted))) << name;
  };
  expect("a", {2, 3}, mx::slice(ab, {0, 0}, {2, 3}));
  expect("b", {3, 3}, mx::slice(ab, {2, 0}, {5, 3}));
  expect("c", {2, 2, 3}, mx::slice(cd, {0, 0, 0}, {2, 4, 3}, {1, 2, 1}));
  expect("d", {2, 2, 3}, mx::slice(cd, {0, 1, 0}, {2, 4, 3}, {1, 2, 1}));
  expect("f", {2, 5}, mx::transpose(mx::slice(ab, {0, 1}, {5, 3})));
  expect("h", {2, 2, 3}, mx::slice(cd, {0, 0, 0}, {2, 4, 3}, {1, 2, 1}));
  expect("i", {2, 2, 3}, mx::slice(cd, {0, 1, 0}, {2, 4, 3}, {1, 2, 1}));
  checkpoint.check_empty();
}

TEST(Checkpoint, NamesATensorThatHasNoPlaceForItsPart) {
  const TempDir dir;
  save(dir, "model.safetensors", {{"ab", mx::zeros({5, 3})}});
  const auto split = [](const std::string&) -> std::vector<TensorPart> {
    return {{"a", -2, 0, 6}};
  };
  EXPECT_NE(error_message([&] { Checkpoint(dir.path(), {}, same_name, {}, split); }).find("'ab'"),
            std::string::npos);
}

// nvfp4 with a scale of the whole matrix, which MLX's products of few rows don't take.
TEST(Linear, TakesAGlobalScale) {
  const TempDir dir;
  const auto w = random_array({8, 64}, 1), x = random_array({2, 64}, 2);
  const auto top = mx::max(mx::abs(w));
  auto parts = mx::quantize(w, 16, 4, "nvfp4", top);
  save(dir, "model.safetensors",
       {{"q.weight", parts[0]}, {"q.scales", parts[1]}, {"q.global_scale", top}});
  const auto wanted = mx::matmul(
      x, mx::transpose(mx::dequantize(parts[0], parts[1], {}, 16, 4, "nvfp4", top, mx::float32)));
  for (const bool on_cpu : {false, true}) {
    LoadOptions options;
    if (on_cpu)
      options.cpu = std::make_shared<kernels::CpuBackend>(
          kernels::CpuOptions{.threads = 2, .exact_activations = true});
    Checkpoint checkpoint(dir.path(), quantization(R"({"quantization": {"mode": "nvfp4"}})"),
                          same_name, options);
    const auto got = Linear::load(checkpoint, "q", 64, 8)(x);
    EXPECT_LT(testing::max_abs_difference(to_vector(got), to_vector(wanted)), 1e-5f) << on_cpu;
    checkpoint.check_empty();
  }
}

}  // namespace
}  // namespace pippin::nn
