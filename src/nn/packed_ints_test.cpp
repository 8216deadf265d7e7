// Oracle: the same matrices made number by number (tools/formats/make_packed_ints.py).
#include "nn/packed_ints.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "kernels/testing.h"
#include "kernels/weight.h"
#include "nn/checkpoint.h"
#include "nn/open_tensors.h"
#include "nn/testing.h"

namespace pippin::nn {
namespace {

using testing::error_message;
using testing::TempDir;
using testing::to_vector;

const std::filesystem::path folder =
    std::filesystem::path(PIPPIN_SOURCE_DIR) / "tests/golden/packed_ints";

std::optional<PackedInts> format_of(const std::string& case_name) {
  return QuantizationConfig::from_json(read_json_object(folder / case_name / "config.json")).packed;
}

class PackedIntCase : public ::testing::TestWithParam<const char*> {};

TEST_P(PackedIntCase, HoldsTheTwinsNumbers) {
  const auto format = format_of(GetParam());
  ASSERT_TRUE(format);
  const auto files = open_tensors(folder / GetParam(), format, true);
  ASSERT_EQ(files.size(), 1u);
  const auto twin = open_tensors(folder / (std::string(GetParam()) + "-twin"), {}, true);
  int converted = 0;
  for (const auto& part : twin)
    for (const auto& name : part->names()) {
      const auto module = name.substr(0, name.rfind('.'));
      auto weight = files[0]->tensor(name);
      if (weight.dtype() == mx::uint32) {
        ++converted;
        const auto widened = [&](const char* kind) {
          return mx::astype(files[0]->tensor(module + kind), mx::float32);
        };
        weight = kernels::dequantized({weight, widened(".scales"), widened(".biases"), 32, 4},
                                      mx::float32);
      }
      EXPECT_EQ(to_vector(weight), to_vector(part->tensor(name))) << name;
    }
  EXPECT_EQ(converted, 7);
}

INSTANTIATE_TEST_SUITE_P(Formats, PackedIntCase, ::testing::Values("gptq", "gptq-v2", "awq"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// Symmetric zero points are a power of two, so that the product stays in float16.
TEST(PackedInts, StaySmallWhereThatIsExact) {
  const auto symmetric = open_tensors(folder / "gptq-v2", format_of("gptq-v2"), true);
  EXPECT_EQ(symmetric[0]->tensor("model.layers.0.mlp.up_proj.scales").dtype(), mx::float16);
  EXPECT_EQ(symmetric[0]->tensor("model.layers.0.mlp.up_proj.biases").dtype(), mx::float16);
  const auto other = open_tensors(folder / "awq", format_of("awq"), true);
  EXPECT_EQ(other[0]->tensor("model.layers.0.mlp.up_proj.biases").dtype(), mx::float32);
}

TEST(PackedInts, ReadOneGroupForAllInputs) {
  const TempDir dir;
  mx::save_safetensors((dir.path() / "model.safetensors").string(),
                       {{"q.qweight", mx::full({32, 8}, 0x76543210, mx::int32)},
                        {"q.qzeros", mx::full({1, 1}, 0x77777777, mx::int32)},
                        {"q.scales", mx::full({1, 8}, 0.5f, mx::float16)}});
  const auto format = packed_ints(
      parse_json(R"({"quant_method": "gptq", "bits": 4, "group_size": -1})", "t").as_object());
  const auto files = open_tensors(dir.path(), format, true);
  EXPECT_EQ(files[0]->shape("q.scales"), (mx::Shape{8, 2}));
  const auto values =
      to_vector(kernels::dequantized({files[0]->tensor("q.weight"), files[0]->tensor("q.scales"),
                                      files[0]->tensor("q.biases"), 128, 4},
                                     mx::float32));
  for (std::size_t i = 0; i < values.size(); ++i)
    ASSERT_EQ(values[i], 0.5f * (static_cast<float>(i % 8) - 8)) << i;
}

TEST(PackedInts, RefuseWhatTheyCannotDoByName) {
  const auto refused = [](const char* text) {
    return error_message([&] { packed_ints(parse_json(text, "test").as_object()); });
  };
  EXPECT_NE(refused(R"({"quant_method": "gptq", "bits": 3})").find("bits"), std::string::npos);
  EXPECT_NE(refused(R"({"quant_method": "gptq", "bits": 4, "desc_act": true})").find("desc_act"),
            std::string::npos);
  EXPECT_NE(
      refused(R"({"quant_method": "gptq", "bits": 4, "group_size": 1024})").find("group_size"),
      std::string::npos);
  EXPECT_NE(refused(R"({"quant_method": "gptq", "checkpoint_format": "marlin"})")
                .find("checkpoint_format"),
            std::string::npos);
  EXPECT_NE(refused(R"({"quant_method": "awq", "version": "gemv"})").find("version"),
            std::string::npos);
  EXPECT_FALSE(packed_ints(parse_json(R"({"quant_method": "mxfp4"})", "test").as_object()));
}

TEST(PackedInts, NameTensorsThatDoNotFit) {
  const auto refused = [](std::unordered_map<std::string, mx::array> tensors) {
    const TempDir dir;
    mx::save_safetensors((dir.path() / "model.safetensors").string(), std::move(tensors));
    return error_message(
        [&] { open_tensors(dir.path(), PackedInts{PackedInts::Method::gptq, 32}, true); });
  };
  const auto words = mx::zeros({8, 8}, mx::int32), zeros = mx::zeros({2, 1}, mx::int32);
  const auto scales = mx::ones({2, 8}, mx::float16);
  const auto order = mx::array({1, 0}, mx::int32);
  EXPECT_NE(refused({{"q.qweight", words}, {"q.scales", scales}}).find("'q.qzeros' is missing"),
            std::string::npos);
  EXPECT_NE(
      refused(
          {{"q.qweight", words}, {"q.qzeros", zeros}, {"q.scales", mx::ones({3, 8}, mx::float16)}})
          .find("'q.scales'"),
      std::string::npos);
  EXPECT_NE(refused({{"q.qweight", mx::zeros({8, 8})}, {"q.qzeros", zeros}, {"q.scales", scales}})
                .find("'q.qweight'"),
            std::string::npos);
  EXPECT_NE(refused({{"q.qweight", words},
                     {"q.qzeros", zeros},
                     {"q.scales", scales},
                     {"q.g_idx", mx::repeat(order, 32)}})
                .find("'q.g_idx'"),
            std::string::npos);
}

}  // namespace
}  // namespace pippin::nn
