// Steps that are replayed against steps that MLX launches: the same tokens.
#include "engine/run/replay.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/sanitized.h"
#include "engine/run/runner.h"
#include "kernels/emulated/emulation.h"
#include "kernels/gpu/kernel.h"
#include "models/registry.h"

namespace pippin::engine {
namespace {

namespace gpu = kernels::gpu;
using Tokens = std::vector<std::int32_t>;

const auto golden_dir = std::filesystem::path(PIPPIN_SOURCE_DIR) / "tests/golden";
constexpr int page_size = 16, pages_each = 6, steps = 6;

std::unique_ptr<gpu::Executor> own_kernels() {
  return mx::default_device() == mx::Device::gpu ? gpu::cuda_executor() : gpu::emulated_executor();
}

// Every third token, and another third for each step.
class Thirds final : public Constraint {
 public:
  bool restricts() const override { return true; }
  void fill(std::span<std::uint32_t> words) noexcept override {
    for (std::size_t i = 0; i < words.size(); ++i)
      for (unsigned bit = 0; bit < 32; ++bit)
        if ((32 * i + bit) % 3 == step_) words[i] |= 1u << bit;
  }
  void accept(std::int32_t) override { step_ = (step_ + 1) % 3; }
  std::vector<std::int32_t> forced() override { return {}; }
  bool finished() const override { return false; }

 private:
  std::size_t step_ = 0;
};

struct Answers {
  SamplingOptions sampling;
  bool constrained = false;
};

Answers by(float temperature, float top_p = 1, int top_k = 0) {
  Answers answers;
  answers.sampling.temperature = temperature;
  answers.sampling.top_p = top_p;
  answers.sampling.top_k = top_k;
  return answers;
}

Answers penalized() {
  auto answers = by(1, 0.95f);
  answers.sampling.presence_penalty = 1;
  answers.sampling.repetition_penalty = 1.2f;
  return answers;
}

Answers constrained() {
  auto answers = by(1, 0.95f);
  answers.constrained = true;
  return answers;
}

const std::vector<Answers> ways =
    sanitized ? std::vector{by(0), by(0.8f, 0.9f, 40), constrained()}
              : std::vector{by(0), by(1), by(0.8f, 0.9f, 40), penalized(), constrained()};

std::shared_ptr<Sequence> sequence_of(int prompt, int number, const Answers& answers) {
  auto sequence = std::make_shared<Sequence>();
  std::mt19937 random(static_cast<unsigned>(number));
  for (int i = 0; i < prompt; ++i)
    sequence->tokens.push_back(static_cast<std::int32_t>(random() % 130));
  sequence->num_prompt = sequence->num_tokens();
  sequence->positions = models::count_positions(sequence->num_prompt, {});
  sequence->sampling = answers.sampling;
  if (answers.constrained && number != 1) sequence->constraint = std::make_unique<Thirds>();
  sequence->seed = static_cast<std::uint64_t>(number);
  for (int i = 0; i < pages_each; ++i)
    sequence->pages.push_back((number * pages_each + i) * 7 % 64);
  return sequence;
}

class Trial {
 public:
  Trial(const std::string& checkpoint, bool own)
      : use_(own ? own_kernels() : nullptr),
        runner_(models::load_model(golden_dir / checkpoint, {}),
                {page_size, 64, {}, {mx::float32}}) {}

  /// What the sequences answer when each step is launched before the one before is read; every third step after it.
  std::vector<Tokens> answers(const std::vector<int>& prompts, const Answers& wanted) {
    std::vector<std::shared_ptr<Sequence>> all;
    for (const int prompt : prompts)
      all.push_back(sequence_of(prompt, static_cast<int>(all.size()), wanted));
    auto batch = batch_of(all, true, false);
    auto step = runner_.launch(batch);
    for (int i = 0; i < steps; ++i) {
      const bool ahead = i % 3 != 2 && !all.front()->needs_tokens_read();
      if (!ahead) read(all, batch, step);
      for (auto& one : all)
        if (ahead) one->tokens.push_back(0);  // what is not known yet
      auto next = batch_of(all, false, ahead);
      auto launched = runner_.launch(next);
      chosen_ += launched.request.has_value();
      if (ahead) {
        for (auto& one : all) one->tokens.pop_back();
        read(all, batch, step);
      }
      batch = std::move(next);
      step = std::move(launched);
    }
    read(all, batch, step);
    std::vector<Tokens> answers;
    for (const auto& one : all)
      answers.emplace_back(one->tokens.begin() + one->num_prompt, one->tokens.end());
    return answers;
  }
  Runner& runner() { return runner_; }
  /// Steps whose tokens were chosen by a replay, too.
  int chosen() const { return chosen_; }

 private:
  static Batch batch_of(const std::vector<std::shared_ptr<Sequence>>& all, bool prompts,
                        bool ahead) {
    Batch batch;
    for (const auto& one : all) {
      const auto begin = prompts ? 0 : one->num_tokens() - 1;
      const auto row = static_cast<int>(batch.chunks.size());
      batch.chunks.push_back(
          {one, begin, static_cast<int>(one->num_tokens() - begin), true, ahead ? row : -1, 0});
    }
    return batch;
  }
  void read(const std::vector<std::shared_ptr<Sequence>>& all, const Batch& batch,
            const LaunchedStep& step) {
    const auto tokens = runner_.read(batch, step);
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i]->tokens.push_back(tokens.ids[i]);
      if (all[i]->constraint) all[i]->constraint->accept(tokens.ids[i]);
    }
  }

  gpu::UseExecutor use_;
  Runner runner_;
  int chosen_ = 0;
};

class Replay : public ::testing::TestWithParam<const char*> {};

TEST_P(Replay, GivesTheTokensOfMlx) {
  const std::vector<int> one = {20}, some = {5, rounds(33, 18), rounds(17, 3)};
  std::vector<Tokens> alone;
  std::vector<std::vector<Tokens>> wanted;
  {
    Trial mlx(GetParam(), false);
    alone = mlx.answers(one, ways.front());
    for (const auto& way : ways) wanted.push_back(mlx.answers(some, way));
    EXPECT_EQ(mlx.runner().replayed_steps(), 0);
  }
  Trial own(GetParam(), true);
  EXPECT_EQ(own.answers(one, ways.front()), alone);
  for (std::size_t i = 0; i < ways.size(); ++i)
    EXPECT_EQ(own.answers(some, ways[i]), wanted[i]) << i;
  const auto launched = (1 + std::ssize(ways)) * steps;
  EXPECT_EQ(own.runner().replayed_steps(), launched);
  own.runner().reset();  // other pools
  EXPECT_EQ(own.answers(some, ways[1]), wanted[1]);
  EXPECT_EQ(own.runner().replayed_steps(), steps);
  EXPECT_EQ(own.chosen(), launched + steps) << "and their tokens by kernels, too";
}

// A layer launches q/k/v, heads, attention and its merging, output, gate and up, down; norms and the gate are in them. Else: tokens, embedding,
// angles, output layer, and two for the largest logit.
TEST(ReplayLaunches, AreSevenALayer) {
  const gpu::UseExecutor use(own_kernels());
  const auto model = models::load_model(golden_dir / "qwen3-mlx-8bit", {});
  const auto& traits = model->traits();
  nn::ModelState state(traits.layers, {.num_pages = 16, .page_size = page_size}, {mx::float32});
  const auto replays = Replays::make(*model, page_size);
  ASSERT_TRUE(replays);
  const auto sequence = sequence_of(20, 0, by(0));
  Batch batch;
  batch.chunks.push_back({sequence, 19, 1, true, -1, 0});
  for (auto& page : sequence->pages) page %= 16;
  ASSERT_TRUE(replays->launch(batch, state, true, {}));
  EXPECT_LE(replays->num_launches(), 7u * traits.layers.size() + 6u);
}

const std::vector<const char*> checkpoints =
    sanitized ? std::vector{"qwen3-mlx-8bit"}
              : std::vector{"qwen3-f32", "qwen3-mlx-8bit", "qwen3_vl-f32"};
INSTANTIATE_TEST_SUITE_P(Checkpoints, Replay, ::testing::ValuesIn(checkpoints));

}  // namespace
}  // namespace pippin::engine
