// What 8-bit activations cost: the demo model's perplexity on conversations that it was not trained on.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/files.h"
#include "base/json.h"
#include "kernels/layout.h"
#include "kernels/testing.h"
#include "models/positions.h"
#include "models/registry.h"

namespace pippin::models {
namespace {

const std::filesystem::path source_dir = PIPPIN_SOURCE_DIR;
constexpr int page_size = 16;

struct Conversation {
  std::vector<std::int32_t> tokens;
  std::vector<bool> answer;  ///< the model's own words
};

std::vector<Conversation> read_conversations() {
  std::vector<Conversation> all;
  const auto text = read_text(source_dir / "tests/golden/demo-conversations.json");
  const auto rows = json::parse(text);
  for (const auto& row : rows.as_array()) {
    Conversation c;
    for (const auto& token : row.at("tokens").as_array())
      c.tokens.push_back(static_cast<std::int32_t>(token.as_int64()));
    for (const auto& flag : row.at("answer").as_array()) c.answer.push_back(flag.as_int64() != 0);
    all.push_back(std::move(c));
  }
  return all;
}

// The model under one kind of arithmetic.
class Scorer {
 public:
  Scorer(bool exact, mx::Dtype kv_dtype)
      : backend_(std::make_shared<kernels::CpuBackend>(
            kernels::CpuOptions{.threads = 2, .exact_activations = exact})),
        model_(load_model(source_dir / "assets/demo-model", {.cpu = backend_})),
        cache_(model_->traits().num_layers, 1024 / page_size, page_size,
               model_->traits().num_kv_heads, model_->traits().head_dim, kv_dtype) {}

  /// -log p of every token but the first.
  std::vector<double> losses(const Conversation& c) {
    const int T = static_cast<int>(c.tokens.size());
    std::vector<std::int32_t> pages(1024 / page_size), rows(c.tokens.size());
    std::iota(pages.begin(), pages.end(), 0);
    std::iota(rows.begin(), rows.end(), 0);
    const auto positions = mx::broadcast_to(mx::arange(T, mx::int32), {3, T});
    const StepInput input{mx::array(c.tokens.begin(), {T}, mx::int32),
                          mx::contiguous(positions),
                          true,
                          mx::array(rows.begin(), {T}, mx::int32),
                          kernels::make_layout({{pages, T, T}}, page_size, backend_),
                          {}};
    const auto logits = model_->forward(input, cache_);
    const auto log_p = testing::to_vector(logits - mx::logsumexp(logits, -1, true));
    std::vector<double> result;
    for (int i = 1; i < T; ++i)
      result.push_back(-static_cast<double>(log_p[static_cast<std::size_t>(
          (i - 1) * logits.shape(1) + c.tokens[static_cast<std::size_t>(i)])]));
    return result;
  }

 private:
  kernels::CpuBackendPtr backend_;
  std::unique_ptr<Model> model_;
  nn::KVCache cache_;
};

struct Perplexity {
  double answers, all;
};

Perplexity perplexity(Scorer scorer) {
  double answers = 0, all = 0;
  int num_answers = 0, num_all = 0;
  for (const auto& c : read_conversations()) {
    const auto losses = scorer.losses(c);
    for (std::size_t i = 0; i < losses.size(); ++i) {
      all += losses[i];
      ++num_all;
      if (!c.answer[i + 1]) continue;
      answers += losses[i];
      ++num_answers;
    }
  }
  return {std::exp(answers / num_answers), std::exp(all / num_all)};
}

TEST(Perplexity, EightBitActivationsCostLessThanHalfAPercent) {
  const auto device = mx::default_device();
  mx::set_default_device(mx::Device::cpu);
  const auto exact = perplexity({true, mx::float32}), int8 = perplexity({false, mx::float16});
  mx::set_default_device(device);
  RecordProperty("answers_float32", std::to_string(exact.answers));
  RecordProperty("answers_int8", std::to_string(int8.answers));
  RecordProperty("all_float32", std::to_string(exact.all));
  RecordProperty("all_int8", std::to_string(int8.all));
  EXPECT_LT(exact.answers, 2.0) << "the demo model knows these answers";
  EXPECT_NEAR(int8.answers / exact.answers, 1, 0.005);
  EXPECT_NEAR(int8.all / exact.all, 1, 0.005);
}

}  // namespace
}  // namespace pippin::models
