#include "engine/run/kernel_proof.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "kernels/emulated/emulation.h"
#include "models/registry.h"

namespace pippin::engine {
namespace {

namespace gpu = kernels::gpu;
namespace mx = mlx::core;

const auto golden_dir = std::filesystem::path(PIPPIN_SOURCE_DIR) / "tests/golden";

// The emulation, but for a kernel that gives wrong numbers or can't be compiled.
class Spoiled final : public gpu::Executor {
 public:
  Spoiled(std::string kernel, bool throws) : kernel_(std::move(kernel)), throws_(throws) {}
  bool writes_inputs() const override { return true; }
  bool is_emulated() const override { return true; }

 private:
  std::vector<mx::array> execute(const gpu::Kernel& kernel, const gpu::Launch& launch) override {
    if (kernel.name == kernel_ && throws_) throw std::runtime_error("does not compile");
    auto made = inner_->run(kernel, launch);
    if (kernel.name != kernel_) return made;
    for (auto& one : made) {
      one = mx::square(one) + mx::array(1, one.dtype());
      one.eval();
    }
    return made;
  }

  std::unique_ptr<gpu::Executor> inner_ = gpu::emulated_executor();
  std::string kernel_;
  bool throws_;
};

class KernelProof : public ::testing::Test {
 protected:
  KernelProof() { mx::set_default_device(mx::Device::cpu); }
  ~KernelProof() override {
    gpu::forget_proofs();
    mx::set_default_device(device_);
  }

  std::unique_ptr<models::Model> load(const std::string& checkpoint) {
    return models::load_model(golden_dir / checkpoint, {});
  }
  static bool all_right(const std::vector<gpu::Proof>& proofs) {
    return std::all_of(proofs.begin(), proofs.end(),
                       [](const auto& proof) { return proof.right(); });
  }
  static void use_right(const std::vector<gpu::Proof>& proofs) {
    std::vector<gpu::Use> uses;
    for (const auto& proof : proofs)
      if (proof.right()) uses.push_back(proof.use);
    gpu::use_only(uses);
  }
  static std::size_t count(const std::vector<gpu::Proof>& proofs, gpu::Operation operation) {
    return static_cast<std::size_t>(
        std::count_if(proofs.begin(), proofs.end(),
                      [&](const gpu::Proof& proof) { return proof.use.operation == operation; }));
  }

  ProofOptions options_{
      .kv = {mx::float32}, .max_sequences = 4, .max_batch_tokens = 40, .calls = 0};
  mx::Device device_ = mx::default_device();
};

// ---- every kernel of a model is tried, and right

TEST_F(KernelProof, EveryOperationOfAModelIsTried) {
  const gpu::UseExecutor use(gpu::emulated_executor());
  const auto model = load("qwen3-mlx-8bit");
  const auto proofs = prove_kernels(*model, options_);
  using Of = gpu::Operation;
  for (const auto operation : {Of::attention, Of::product, Of::norm, Of::gate, Of::embedding,
                               Of::angles, Of::largest, Of::sampling})
    EXPECT_GE(count(proofs, operation), 3u) << gpu::text_of({operation, {}, {}});
  for (const auto& proof : proofs)
    EXPECT_TRUE(proof.right()) << gpu::text_of(proof.use) << ": " << proof.error << " of "
                               << proof.bound << ' ' << proof.failure;
  EXPECT_EQ(prove_kernels(*model, options_, proofs).size(), proofs.size());
  use_right(proofs);
  const auto steps = prove_steps(*model, options_);
  EXPECT_EQ(steps.size(), 3u) << "of 1, 2 and 4 rows";
  for (const auto& step : steps) {
    EXPECT_TRUE(step.right()) << step.error << ' ' << step.failure;
    EXPECT_GT(step.error, 0) << "our kernels add in another order";
  }
}

// What would be run throws: nothing is, where the same steps are known.
TEST_F(KernelProof, KnownStepsAreNotRunAgain) {
  const auto model = load("qwen3-mlx-8bit");
  std::vector<gpu::Proof> proofs, known;
  {
    const gpu::UseExecutor use(gpu::emulated_executor());
    proofs = prove_kernels(*model, options_);
    use_right(proofs);
    known = prove_steps(*model, options_, proofs);
  }
  const gpu::UseExecutor use(std::make_unique<Spoiled>("product", true));
  const auto again = prove_steps(*model, options_, proofs, known);
  EXPECT_TRUE(again.size() == known.size() && all_right(again));
  EXPECT_FALSE(all_right(prove_steps(*model, options_, proofs)));
  std::erase_if(proofs,
                [](const auto& proof) { return proof.use.operation == gpu::Operation::norm; });
  use_right(proofs);
  EXPECT_FALSE(all_right(prove_steps(*model, options_, proofs, known))) << "of other operations";
  use_right({});
  EXPECT_TRUE(all_right(prove_steps(*model, options_, proofs, known))) << "MLX's, and run";
}

class KernelProofs : public KernelProof, public ::testing::WithParamInterface<const char*> {};

TEST_P(KernelProofs, AreRight) {
  const gpu::UseExecutor use(gpu::emulated_executor());
  const auto model = load(GetParam());
  for (const auto& proof : prove_kernels(*model, options_))
    EXPECT_TRUE(proof.right()) << gpu::text_of(proof.use) << ": " << proof.error << " of "
                               << proof.bound << ' ' << proof.failure;
}

// What is sampled is what the output layer makes, in steps that are replayed and in others.
TEST_F(KernelProof, SamplingIsTriedOnWhatModelsMake) {
  const gpu::UseExecutor use(gpu::emulated_executor());
  options_.kv = {mx::bfloat16};
  const auto model = models::load_model(golden_dir / "qwen3-f32", {.dtype = mx::bfloat16});
  const auto proofs = prove_kernels(*model, options_);
  EXPECT_EQ(count(proofs, gpu::Operation::sampling), 9u) << "three kinds of 1, 2 and 4 rows";
  for (const auto& proof : proofs) {
    if (proof.use.operation != gpu::Operation::sampling) continue;
    EXPECT_EQ(proof.use.dtype, mx::Dtype::Val::bfloat16) << gpu::text_of(proof.use);
  }
}

// Whole steps don't show these: they end with the logits.
TEST_F(KernelProof, AWrongSamplingKernelIsFound) {
  const auto model = load("qwen3-mlx-8bit");
  for (const char* kernel : {"sample_bins", "sample_sums", "sample_draw", "edit_logits"}) {
    const gpu::UseExecutor use(std::make_unique<Spoiled>(kernel, false));
    std::size_t wrong = 0;
    for (const auto& proof : prove_kernels(*model, options_)) {
      if (proof.right()) continue;
      ++wrong;
      EXPECT_EQ(proof.use.operation, gpu::Operation::sampling) << gpu::text_of(proof.use);
    }
    EXPECT_GT(wrong, 0u) << kernel;
  }
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, KernelProofs,
                         ::testing::Values("qwen3_vl-mlx-4bit", "gemma3_text-bf16", "lfm2-bf16"));

// ---- a kernel that is wrong is used nowhere, whatever its time

class SpoiledKernel : public KernelProof,
                      public ::testing::WithParamInterface<std::tuple<const char*, bool>> {};

TEST_P(SpoiledKernel, IsFoundAndNotUsed) {
  const auto& [kernel, throws] = GetParam();
  const auto model = load("qwen3-mlx-8bit");
  const gpu::UseExecutor use(std::make_unique<Spoiled>(kernel, throws));
  EXPECT_FALSE(all_right(prove_steps(*model, options_))) << "without proofs it does harm";
  const auto proofs = prove_kernels(*model, options_);
  std::size_t wrong = 0;
  for (const auto& proof : proofs) {
    if (proof.right()) continue;
    ++wrong;
    EXPECT_EQ(proof.failure.empty(), !throws);
  }
  EXPECT_GT(wrong, 0u);
  EXPECT_LT(wrong, proofs.size());
  use_right(proofs);
  EXPECT_TRUE(all_right(prove_steps(*model, options_)));
}

INSTANTIATE_TEST_SUITE_P(Kernels, SpoiledKernel,
                         ::testing::Combine(::testing::Values("product", "paged_decode_parts",
                                                              "qk_norm_rope_write", "rms_norm",
                                                              "embed", "rope_angles", "gated"),
                                            ::testing::Bool()));

}  // namespace
}  // namespace pippin::engine
