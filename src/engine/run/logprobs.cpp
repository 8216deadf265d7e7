#include "engine/run/logprobs.h"

#include <algorithm>
#include <cmath>
#include <memory>

namespace pippin::engine {
namespace {

// A row of NaNs has no probabilities, and JSON no infinities: as OpenAI says of what is as good as impossible.
constexpr float impossible = -9999;

float speakable(float logprob) { return std::isfinite(logprob) ? logprob : impossible; }

}  // namespace

LogprobArrays logprobs_of(const mx::array& logits, const mx::array& tokens, int count) {
  const auto all = logits - mx::logsumexp(logits, -1, true);
  const int rows = logits.shape(0), most = std::clamp(count, 1, logits.shape(1));
  const auto chosen = mx::take_along_axis(all, mx::reshape(tokens, {rows, 1}), -1);
  const auto order = mx::slice(mx::argsort(mx::negative(all), -1), {0, 0}, {rows, most});
  const auto likelier = mx::sum(mx::astype(mx::greater(all, chosen), mx::int32), -1);
  return {mx::reshape(chosen, {rows}), likelier + mx::array(1),
          mx::contiguous(mx::astype(order, mx::int32)),
          mx::contiguous(mx::take_along_axis(all, order, -1))};
}

TokenLogprobs read_row(const LogprobArrays& arrays, std::size_t row, std::int32_t token,
                       int count) {
  auto result = std::make_shared<AnswerToken>();
  result->token = token;
  result->logprob = speakable(arrays.chosen.data<float>()[row]);
  result->rank = arrays.ranks.data<std::int32_t>()[row];
  const auto stride = static_cast<std::size_t>(arrays.top.shape(1));
  for (std::size_t i = 0; i < std::min(stride, static_cast<std::size_t>(count)); ++i) {
    const float logprob = arrays.top.data<float>()[row * stride + i];
    if (!std::isfinite(logprob)) break;
    result->top.push_back({arrays.top_tokens.data<std::int32_t>()[row * stride + i], logprob});
  }
  return result;
}

TokenLogprobs read_row(const cpu::Sampled& sampled) {
  auto result = std::make_shared<AnswerToken>();
  result->token = sampled.token;
  result->logprob = speakable(sampled.logprob);
  result->rank = sampled.rank;
  for (const auto& [token, logprob] : sampled.top)
    if (std::isfinite(logprob)) result->top.push_back({token, logprob});
  return result;
}

}  // namespace pippin::engine
