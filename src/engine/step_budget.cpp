#include "engine/step_budget.h"

#include <algorithm>

namespace pippin::engine {
namespace {

constexpr int least_tokens = 16;       // however long decode rows take
constexpr int unmeasured_tokens = 64;  // before anything is known
constexpr double weight =
    0.25;  // of the newest step: prompts get dearer with their length, machines slower
constexpr int least_measured = 8;  // fewer tokens say little about the cost of one

void follow(double& mean, double value) {
  mean = mean == 0 ? value : mean + weight * (value - mean);
}

}  // namespace

int StepBudget::prefill_tokens(int decode_rows) const {
  const int room = std::max(0, max_tokens_ - decode_rows);
  if (decode_rows == 0) return room;
  if (token_ms_ == 0) return std::min(room, unmeasured_tokens);
  const double fitting = (target_ms_ - decode_ms_) / token_ms_;
  return std::clamp(static_cast<int>(std::min<double>(fitting, room)), std::min(least_tokens, room),
                    room);
}

void StepBudget::observe(int decode_rows, int prefill_tokens, double ms) {
  if (prefill_tokens == 0) {
    if (decode_rows > 0) follow(decode_ms_, ms);
  } else if (prefill_tokens >= least_measured) {
    const double rest = decode_rows > 0 ? ms - decode_ms_ : ms;
    follow(token_ms_, std::max(rest, 0.1 * ms) / prefill_tokens);
  }
}

}  // namespace pippin::engine
