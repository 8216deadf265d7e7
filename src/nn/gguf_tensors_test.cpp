// Oracle: the package gguf's own dequantization (tools/formats/make_checkpoints.py).
#include "nn/gguf_tensors.h"

#include <gtest/gtest.h>

#include "kernels/testing.h"
#include "kernels/weight.h"
#include "nn/open_tensors.h"
#include "nn/safetensors.h"

namespace pippin::nn {
namespace {

using testing::to_vector;

const std::filesystem::path folder = std::filesystem::path(PIPPIN_SOURCE_DIR) / "tests/golden/gguf";

// A matrix as the model's layers take it, by its module's name.
std::vector<float> values_of(const TensorFile& file, const std::string& module) {
  const auto weight = file.tensor(module + ".weight");
  if (weight.dtype() != mx::uint32) return to_vector(weight);
  const auto scales = file.tensor(module + ".scales");
  const bool mxfp4 = scales.dtype() == mx::uint8;
  std::optional<mx::array> biases;
  if (!mxfp4) biases = mx::astype(file.tensor(module + ".biases"), mx::float32);
  const int groups = scales.shape(-1), words = weight.shape(-1);
  const int group = module.starts_with("Q6_K") ? 16 : 32;
  return to_vector(kernels::dequantized(
      {weight, mxfp4 ? scales : mx::astype(scales, mx::float32), biases, group,
       words * 32 / (groups * group), mxfp4 ? kernels::Scheme::mxfp4 : kernels::Scheme::affine},
      mx::float32));
}

std::vector<float> packed_values_of(const TensorFile& file, const std::string& module) {
  auto q = kernels::QuantizedWeight{
      file.tensor(module + ".weight"), file.tensor(module + ".scales"), std::nullopt, 32, 4,
      kernels::Scheme::mxfp4};
  if (q.scales.dtype() != mx::uint8) {
    q.biases = file.tensor(module + ".biases");
    q.group_size = module.starts_with("Q6_K") ? 16 : 32;
    q.bits = q.weight.shape(-1) * 32 / (q.scales.shape(-1) * q.group_size);
    q.scheme = kernels::Scheme::affine;
  }
  const auto backend = std::make_shared<kernels::CpuBackend>(kernels::CpuOptions{.threads = 2});
  const auto packed = kernels::Weight(q).packed_for(backend);
  std::vector<float> values(static_cast<std::size_t>(packed.outputs() * packed.inputs()));
  for (int row = 0; row < packed.outputs(); ++row)
    packed.packed()->matrix.row(row, values.data() + row * packed.inputs());
  return values;
}

TEST(GgufTensors, HoldTheReferencesNumbers) {
  const SafetensorsFile reference(folder / "blocks.safetensors");
  for (const bool groups_of_16 : {false, true}) {
    const auto files = open_tensors(folder / "blocks.gguf", {}, groups_of_16);
    ASSERT_EQ(files.size(), 1u);
    for (const auto& name : reference.names()) {
      const auto module = name.substr(0, name.rfind('.'));
      EXPECT_EQ(values_of(*files[0], module), to_vector(reference.tensor(name))) << name;
    }
  }
}

// What the CPU's kernels multiply by.
TEST(GgufTensors, HoldTheReferencesNumbersPacked) {
  const SafetensorsFile reference(folder / "blocks.safetensors");
  const auto files = open_tensors(folder / "blocks.gguf", {}, true);
  int checked = 0;
  for (const auto& name : reference.names()) {
    const auto module = name.substr(0, name.rfind('.'));
    if (files[0]->dtype(name) != mx::uint32 || files[0]->shape(name).size() != 2) continue;
    EXPECT_EQ(packed_values_of(*files[0], module), to_vector(reference.tensor(name))) << name;
    ++checked;
  }
  EXPECT_EQ(checked, 11);
}

// What a checkpoint counts is what its arrays take.
TEST(GgufTensors, KnowTheirSizeInMemory) {
  const auto files = open_tensors(folder / "blocks.gguf", {}, true);
  for (const auto& name : files[0]->names()) {
    if (name.find("edges") != std::string::npos) continue;  // scales that turn out to need float32
    EXPECT_EQ(files[0]->tensor_bytes(name), files[0]->tensor(name).nbytes()) << name;
  }
}

// Scales that float16 holds stay in it, so that a weight is no larger than in the file.
TEST(GgufTensors, KeepHalfScales) {
  const auto files = open_tensors(folder / "blocks.gguf", {}, true);
  EXPECT_EQ(files[0]->tensor("Q4_0.scales").dtype(), mx::float16);
  EXPECT_EQ(files[0]->tensor("Q8_0.biases").dtype(), mx::float16);
  EXPECT_EQ(files[0]->tensor("Q8_0.edges.biases").dtype(), mx::float32);  // -128 * 1000
  EXPECT_EQ(files[0]->tensor("Q4_K.scales").dtype(), mx::float32);
}

}  // namespace
}  // namespace pippin::nn
