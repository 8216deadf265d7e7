// Log-probabilities of prompts in the whole engine, against one forward pass over all of the prompt.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "engine/testing.h"
#include "kernels/layout.h"

namespace pippin::engine {
namespace {

using namespace testing;

using Row = std::vector<double>;

mx::array int_array(const std::vector<std::int32_t>& values) {
  return mx::array(values.begin(), {static_cast<int>(values.size())}, mx::int32);
}

// The log-probabilities of all tokens, for each row of the prompt.
std::vector<Row> by_one_pass(const std::vector<std::int32_t>& tokens) {
  const auto model = models::load_model(model_dir, {});
  const auto& traits = model->traits();
  const int T = static_cast<int>(tokens.size()), pages = (T + 15) / 16;
  nn::ModelState state(traits.layers, {pages, 16, 0}, {mx::float32});
  std::vector<std::int32_t> all_pages, rows;
  for (int i = 0; i < pages; ++i) all_pages.push_back(i);
  for (int i = 0; i < T; ++i) rows.push_back(i);
  auto positions = rows;
  for (int axis = 1; axis < 3; ++axis) positions.insert(positions.end(), rows.begin(), rows.end());
  const models::StepInput input{int_array(tokens),
                                mx::reshape(int_array(positions), {3, T}),
                                true,
                                int_array(rows),
                                kernels::make_layout({{all_pages, T, T}}, 16, nullptr),
                                {}};
  auto logits = mx::contiguous(model->forward(input, state));
  mx::eval(logits);
  std::vector<Row> result;
  const int V = logits.shape(1);
  for (int i = 0; i < T; ++i) {
    const float* x = logits.data<float>() + static_cast<std::ptrdiff_t>(i) * V;
    double total = 0;
    for (int v = 0; v < V; ++v) total += std::exp(static_cast<double>(x[v]));
    Row row;
    for (int v = 0; v < V; ++v) row.push_back(static_cast<double>(x[v]) - std::log(total));
    result.push_back(std::move(row));
  }
  return result;
}

std::shared_ptr<Sequence> scored(int prompt, unsigned words) {
  auto sequence = make_sequence(prompt, words);
  sequence->sampling.prompt_logprobs = 3;
  return sequence;
}

// The prompt's, once its first token has come.
std::vector<TokenLogprobs> scores_of(const Sequence& sequence) {
  EXPECT_TRUE(sequence.output->next());
  return sequence.output->take_prompt_logprobs();
}

void expect_as_one_pass(const Sequence& sequence, const std::vector<TokenLogprobs>& told) {
  const std::vector<std::int32_t> prompt(sequence.tokens.begin(),
                                         sequence.tokens.begin() + sequence.num_prompt);
  ASSERT_EQ(told.size(), prompt.size());
  EXPECT_EQ(told[0]->token, prompt[0]);
  EXPECT_TRUE(told[0]->top.empty());
  const auto wanted = by_one_pass(prompt);
  for (std::size_t i = 1; i < prompt.size(); ++i) {
    const Row& row = wanted[i - 1];
    const double own = row[static_cast<std::size_t>(prompt[i])];
    EXPECT_EQ(told[i]->token, prompt[i]);
    EXPECT_NEAR(told[i]->logprob, own, 1e-4);
    const auto likelier = [&](double margin) {
      return 1 + std::count_if(row.begin(), row.end(), [&](double x) { return x > own + margin; });
    };
    EXPECT_LE(likelier(1e-4), told[i]->rank);
    EXPECT_GE(likelier(-1e-4), told[i]->rank);
    ASSERT_EQ(told[i]->top.size(), 3u);
    for (const auto& other : told[i]->top)
      EXPECT_NEAR(other.logprob, row[static_cast<std::size_t>(other.token)], 1e-4);
    EXPECT_NEAR(told[i]->top[0].logprob, *std::max_element(row.begin(), row.end()), 1e-4);
  }
}

class PromptLogprobs : public ::testing::TestWithParam<How> {};

TEST_P(PromptLogprobs, AreThoseOfOnePass) {
  std::atomic<int> most_rows = 0;
  const auto loop = make_loop({.how = GetParam(), .on_step = [&](const StepRecord& step) {
                                 most_rows = std::max(most_rows.load(), step.prefill_rows);
                               }});
  for (const int length : {1, 2, 17, 150}) {
    const auto sequence = scored(length, 5);
    loop->submit(sequence);
    expect_as_one_pass(*sequence, scores_of(*sequence));
    read_all(*sequence);
  }
  EXPECT_EQ(most_rows, max_scored_rows);  // the memory for their logits is bounded
}

// What is cached has no logits: it is computed again. The answer is the same, and so it is for others beside it.
TEST_P(PromptLogprobs, AreOfCachedPromptsToo) {
  const auto loop = make_loop({.how = GetParam()});
  const auto plain = answer(*loop, make_sequence(100, 7));
  std::vector<std::shared_ptr<Sequence>> sequences = {scored(100, 7), make_sequence(100, 7),
                                                      scored(100, 7), scored(60, 8)};
  for (const auto& sequence : sequences) loop->submit(sequence);
  for (const auto& sequence : {sequences[0], sequences[2], sequences[3]}) {
    const auto prompt = sequence->tokens;
    const auto told = scores_of(*sequence);
    EXPECT_EQ(sequence->output->cached_tokens(), 0);
    expect_as_one_pass(*sequence, told);
  }
  EXPECT_EQ(read_all(*sequences[1]), plain);
  EXPECT_GT(sequences[1]->output->cached_tokens(), 80);
}

// A prompt that gives its pages away in the middle of an answer is not scored again.
TEST_P(PromptLogprobs, SurvivePreemption) {
  const auto loop = make_loop({.how = GetParam(), .num_pages = 16});
  std::vector<std::shared_ptr<Sequence>> sequences;
  for (unsigned i = 0; i < 6; ++i) {
    sequences.push_back(scored(40 + static_cast<int>(i), i));
    sequences.back()->max_tokens = 60;
    loop->submit(sequences.back());
  }
  for (const auto& sequence : sequences) {
    const auto told = scores_of(*sequence);
    EXPECT_EQ(static_cast<std::int64_t>(told.size()), sequence->num_prompt);
    read_all(*sequence);
    expect_as_one_pass(*sequence, told);
  }
  EXPECT_GT(idle_stats(*loop).preemptions, 0);
}

INSTANTIATE_TEST_SUITE_P(Kernels, PromptLogprobs, ::testing::Values(How::mlx, How::cpu_float32),
                         name_of);

}  // namespace
}  // namespace pippin::engine
