// Oracle: the package gguf's own dequantization (tools/formats/make_checkpoints.py).
#include "nn/gguf_tensors.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/memory.h"
#include "gguf/testing.h"
#include "kernels/testing.h"
#include "kernels/weight.h"
#include "nn/checkpoint.h"
#include "nn/layers.h"
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

// A part that is taken again is made again.
TEST(GgufTensors, GiveTheSameTwice) {
  const auto files = open_tensors(folder / "blocks.gguf", {}, true);
  for (const char* name : {"Q4_K.weight", "Q4_K.weight", "Q4_K.scales", "Q4_K.weight"})
    EXPECT_EQ(files[0]->tensor(name).shape(), files[0]->shape(name));
  const auto first = files[0]->tensor("Q8_0.weight"), second = files[0]->tensor("Q8_0.weight");
  EXPECT_TRUE(mx::array_equal(first, second).item<bool>());
}

#ifdef __linux__
// Layers of Q8_0 matrices of 3.2 MB, as qwen3 names them.
void write_layers(const std::filesystem::path& path, int layers) {
  const std::vector<std::uint64_t> shape = {1024, 3072};  // the innermost axis first
  const std::size_t bytes = 1024 * 3072 / 32 * 34;
  gguf::testing::Writer file;
  file.header(static_cast<std::uint64_t>(layers), 2).value("general.architecture", "qwen3");
  file.value("qwen3.block_count", static_cast<std::uint32_t>(layers));
  for (int i = 0; i < layers; ++i)
    file.tensor("blk." + std::to_string(i) + ".ffn_up.weight", shape, 8,
                static_cast<std::uint64_t>(i) * bytes);
  file.data(static_cast<std::size_t>(layers) * bytes);
  std::ofstream(path, std::ios::binary) << file.bytes;
}

std::size_t status_bytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(key + ":")) return std::stoull(line.substr(key.size() + 1)) * 1024;
  return 0;
}

// The peak is the weights as they stay, and what one matrix takes on its way.
TEST(GgufTensors, TakeLittleBesideTheWeightsWhileTheyAreLoaded) {
  constexpr int layers = 48;
  const auto path = std::filesystem::path(::testing::TempDir()) / "layers.gguf";
  write_layers(path, layers);
  trim_heap();
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak begins anew
  const auto before = status_bytes("VmRSS");
  std::vector<Linear> kept;
  LoadOptions options;
  options.cpu = std::make_shared<kernels::CpuBackend>(kernels::CpuOptions{.threads = 2});
  QuantizationConfig quantization;
  quantization.defaults = Quantization{32, 8};
  Checkpoint checkpoint(path, quantization, [](const std::string& name) { return name; }, options);
  for (int i = 0; i < layers; ++i)
    kept.push_back(
        Linear::load(checkpoint, "model.layers." + std::to_string(i) + ".mlp.up_proj", 1024, 3072));
  const auto peak = static_cast<double>(status_bytes("VmHWM") - before);
  EXPECT_LT(peak, 1.15 * static_cast<double>(checkpoint.size().bytes)) << checkpoint.size().bytes;
  std::filesystem::remove(path);
}
#endif

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
