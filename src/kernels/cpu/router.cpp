#include "kernels/cpu/router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace pippin::cpu {
namespace {

constexpr float lowest = -std::numeric_limits<float>::infinity();

void softmax(float* x, int n) {
  const float top = *std::max_element(x, x + n);
  float sum = 0;
  for (int i = 0; i < n; ++i) sum += x[i] = std::exp(x[i] - top);
  for (int i = 0; i < n; ++i) x[i] /= sum;
}

float best_sum(const float* x, int n, int count) {
  if (n == 1 || count == 1) return *std::max_element(x, x + n);
  float first = lowest, second = lowest;
  for (int i = 0; i < n; ++i) {
    second = std::max(second, std::min(first, x[i]));
    first = std::max(first, x[i]);
  }
  return first + second;
}

// One token's way to its experts; the vectors are a thread's, made once.
class Row {
 public:
  explicit Row(const RouterOptions& options)
      : options_(options),
        scores_(static_cast<std::size_t>(options.num_experts)),
        ranks_(scores_.size()) {}

  void route(const float* logits, const float* correction, std::int32_t* chosen, float* weights) {
    score(logits);
    for (std::size_t i = 0; i < ranks_.size(); ++i)
      ranks_[i] = scores_[i] + (correction ? correction[i] : 0.0f);
    if (options_.kept_groups < options_.groups) drop_groups();
    for (int i = 0; i < options_.top_k; ++i) {
      const auto best = std::max_element(ranks_.begin(), ranks_.end()) - ranks_.begin();
      chosen[i] = static_cast<std::int32_t>(best);
      weights[i] = scores_[static_cast<std::size_t>(best)];
      ranks_[static_cast<std::size_t>(best)] = lowest;
    }
    weigh(weights);
  }

 private:
  void score(const float* logits) {
    std::copy(logits, logits + scores_.size(), scores_.begin());
    if (options_.scores == RouterScores::softmax) softmax(scores_.data(), options_.num_experts);
    if (options_.scores == RouterScores::sigmoid)
      for (auto& x : scores_) x = 1 / (1 + std::exp(-x));
  }

  void drop_groups() {
    const int size = options_.num_experts / options_.groups;
    std::vector<float> sums;
    for (int g = 0; g < options_.groups; ++g)
      sums.push_back(best_sum(&ranks_[at(g, size)], size, options_.group_best));
    for (int i = 0; i < options_.groups - options_.kept_groups; ++i) {
      const auto worst = std::min_element(sums.begin(), sums.end()) - sums.begin();
      sums[static_cast<std::size_t>(worst)] = std::numeric_limits<float>::infinity();
      std::fill_n(ranks_.begin() + worst * size, size, lowest);
    }
  }

  static std::size_t at(int group, int size) {
    return static_cast<std::size_t>(group) * static_cast<std::size_t>(size);
  }

  void weigh(float* weights) const {
    const int k = options_.top_k;
    if (options_.scores == RouterScores::softmax_of_chosen) softmax(weights, k);
    float sum = 1e-20f;
    for (int i = 0; i < k; ++i) sum += weights[i];
    const float factor = options_.normalize ? options_.scale / sum : options_.scale;
    for (int i = 0; i < k; ++i) weights[i] *= factor;
  }

  const RouterOptions& options_;
  std::vector<float> scores_, ranks_;
};

}  // namespace

void route(Team& team, const RouterOptions& options, const float* logits, const float* correction,
           int rows, std::int32_t* chosen, float* weights, const float* expert_scales) {
  team.parallel_for(rows, 16, [&](std::int64_t begin, std::int64_t end, int) {
    Row row(options);
    for (auto i = begin; i < end; ++i) {
      const auto at = i * options.top_k;
      row.route(logits + i * options.num_experts, correction, chosen + at, weights + at);
      for (auto j = at; expert_scales && j < at + options.top_k; ++j)
        weights[j] *= expert_scales[chosen[j]];
    }
  });
}

}  // namespace pippin::cpu
