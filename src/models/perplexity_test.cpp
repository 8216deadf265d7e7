// What 8-bit activations and quantized pages cost: the demo model's perplexity on conversations that it was not trained on.
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
  Scorer(bool exact, const nn::KvStorage& kv)
      : backend_(std::make_shared<kernels::CpuBackend>(
            kernels::CpuOptions{.threads = 2, .exact_activations = exact})),
        model_(load_model(source_dir / "assets/demo-model", {.cpu = backend_})),
        state_(model_->traits().layers, {1024 / page_size, page_size, 0}, kv) {}

  /// log p of every token after each, [T, V].
  std::vector<float> log_probabilities(const Conversation& c) {
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
    const auto logits = model_->forward(input, state_);
    return testing::to_vector(logits - mx::logsumexp(logits, -1, true));
  }

 private:
  kernels::CpuBackendPtr backend_;
  std::unique_ptr<Model> model_;
  nn::ModelState state_;
};

struct Perplexity {
  double answers, all;
  double divergence;  ///< mean of KL(reference || this) over all tokens
};

// exp of the mean loss of the answers' tokens, and of all.
Perplexity perplexity(const std::vector<std::vector<float>>& rows,
                      const std::vector<std::vector<float>>& reference) {
  double answers = 0, all = 0, divergence = 0;
  int num_answers = 0, num_all = 0;
  const auto conversations = read_conversations();
  for (std::size_t i = 0; i < conversations.size(); ++i) {
    const auto& c = conversations[i];
    const auto& log_p = rows[i];
    const auto V = log_p.size() / c.tokens.size();
    for (std::size_t t = 0; t + 1 < c.tokens.size(); ++t) {
      const double loss =
          -static_cast<double>(log_p[t * V + static_cast<std::size_t>(c.tokens[t + 1])]);
      for (std::size_t v = t * V; v < (t + 1) * V; ++v)
        divergence += std::exp(static_cast<double>(reference[i][v])) *
                      static_cast<double>(reference[i][v] - log_p[v]);
      all += loss;
      ++num_all;
      if (!c.answer[t + 1]) continue;
      answers += loss;
      ++num_answers;
    }
  }
  return {std::exp(answers / num_answers), std::exp(all / num_all), divergence / num_all};
}

// The exact arithmetic's, computed once for all tests.
const std::vector<std::vector<float>>& reference() {
  static const auto all = [] {
    Scorer exact(true, {mx::float32});
    std::vector<std::vector<float>> rows;
    for (const auto& c : read_conversations()) rows.push_back(exact.log_probabilities(c));
    return rows;
  }();
  return all;
}

class PerplexityTest : public ::testing::Test {
 protected:
  PerplexityTest() { mx::set_default_device(mx::Device::cpu); }
  ~PerplexityTest() override { mx::set_default_device(device_); }

  Perplexity exact() { return recorded("float32", reference()); }

  Perplexity of(bool exact, const nn::KvStorage& kv, const std::string& name) {
    Scorer scorer(exact, kv);
    std::vector<std::vector<float>> rows;
    for (const auto& c : read_conversations()) rows.push_back(scorer.log_probabilities(c));
    return recorded(name, rows);
  }

 private:
  Perplexity recorded(const std::string& name, const std::vector<std::vector<float>>& rows) {
    const auto result = perplexity(rows, reference());
    RecordProperty("answers_" + name, std::to_string(result.answers));
    RecordProperty("all_" + name, std::to_string(result.all));
    RecordProperty("divergence_" + name, std::to_string(result.divergence));
    return result;
  }

  mx::Device device_ = mx::default_device();
};

// One test, because the shards of a program share no reference.
//
// Users' words were no part of training, so that the model guesses them wildly and any noise moves their
// perplexity, up or down; the divergence tells how much of the distribution moves.
TEST_F(PerplexityTest, CheapArithmeticCostsLittle) {
  const auto exact = this->exact();
  EXPECT_LT(exact.answers, 2.0) << "the demo model knows these answers";
  const auto int8 = of(false, {mx::float16}, "int8");
  EXPECT_NEAR(int8.answers / exact.answers, 1, 0.005);
  EXPECT_NEAR(int8.all / exact.all, 1, 0.005);
  const auto kv8 = of(true, {mx::float32, 8}, "kv8"), kv4 = of(true, {mx::float32, 4}, "kv4");
  EXPECT_NEAR(kv8.answers / exact.answers, 1, 0.0005);
  EXPECT_NEAR(kv8.all / exact.all, 1, 0.002);
  EXPECT_LT(kv8.divergence, 0.0002);
  EXPECT_NEAR(kv4.answers / exact.answers, 1, 0.005);
  EXPECT_NEAR(kv4.all / exact.all, 1, 0.03);
  EXPECT_LT(kv4.divergence, 0.03);
}

}  // namespace
}  // namespace pippin::models
