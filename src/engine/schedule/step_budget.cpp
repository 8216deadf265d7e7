#include "engine/schedule/step_budget.h"

#include <algorithm>

namespace pippin::engine {
namespace {

constexpr int least_tokens = 16;       // however long decode rows take
constexpr int unmeasured_tokens = 64;  // before anything is known
constexpr double newest = 0.25;  // weight: prompts get dearer with their length, machines slower
constexpr double far_off = 2;    // times the expected
constexpr double least_spread =
    0.1;  // of the tokens about their mean: less says nothing about the slope
constexpr int least_measured = 8;  // fewer tokens say little about the cost of one

}  // namespace

// Whether the line says anything about so many.
bool CostLine::knows(double tokens) const {
  if (!measured()) return false;
  const double near = far_off * mean_tokens();
  return separated_ || (tokens < near && far_off * far_off * tokens > near);
}

// Whether the point is one of its own. After the second, what was known before is forgotten.
bool CostLine::passes_over(double tokens, double ms) {
  const double expected = fixed_ + slope_ * tokens;
  const bool off = knows(tokens) && (ms > far_off * expected || far_off * ms < expected);
  if (off && suspicious_) *this = CostLine();
  suspicious_ = off && measured();
  return suspicious_;
}

void CostLine::observe(double tokens, double ms) {
  if (passes_over(tokens, ms)) return;
  for (double* sum : {&weight_, &x_, &xx_, &y_, &xy_}) *sum *= 1 - newest;
  weight_ += newest;
  x_ += newest * tokens;
  xx_ += newest * tokens * tokens;
  y_ += newest * ms;
  xy_ += newest * tokens * ms;
  fit();
}

void CostLine::fit() {
  const double mean_x = mean_tokens(), mean_y = y_ / weight_;
  const double variance = xx_ / weight_ - mean_x * mean_x;
  if (variance > least_spread * least_spread * mean_x * mean_x) {
    fixed_ = mean_y - mean_x * (xy_ / weight_ - mean_x * mean_y) / variance;
    separated_ = true;
  }
  // A token costs something, and so may not a step: noise says otherwise at times.
  fixed_ = std::clamp(fixed_, 0.0, 0.99 * mean_y);
  slope_ = (mean_y - fixed_) / mean_x;
}

int StepBudget::prefill_tokens(int decode_rows) const {
  const int room = std::max(0, max_tokens_ - decode_rows);
  if (decode_rows == 0) return room;
  if (!prefill_.measured()) return std::min(room, unmeasured_tokens);
  const double fixed = prefill_.fixed_ms();
  const double left = std::max(target_ms_ - decode_.token_ms() - fixed, 0.5 * fixed);
  const auto fitting = static_cast<int>(std::min<double>(left / prefill_.token_ms(), room));
  // Chunks of one size don't tell the two parts apart: another is tried.
  const bool try_more = !prefill_.separated() && prefill_.mean_tokens() < 2 * least_tokens;
  const int least = try_more ? unmeasured_tokens : least_tokens;
  return std::clamp(fitting, std::min(least, room), room);
}

void StepBudget::observe(int decode_rows, int prefill_tokens, double ms) {
  if (prefill_tokens == 0) {
    if (decode_rows > 0) decode_.observe(1, ms);
  } else if (prefill_tokens >= least_measured) {
    const double rest = decode_rows > 0 ? ms - decode_.token_ms() : ms;
    prefill_.observe(prefill_tokens, std::max(rest, 0.1 * ms));
  }
}

}  // namespace pippin::engine
