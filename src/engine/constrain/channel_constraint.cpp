#include "engine/constrain/channel_constraint.h"

#include <algorithm>
#include <utility>

#include "pippin/error.h"

namespace pippin::engine {

ChannelConstraint::ChannelConstraint(std::optional<text::Matcher> matcher,
                                     std::optional<Budget> budget)
    : matcher_(std::move(matcher)), budget_(std::move(budget)) {
  if (!budget_ || budget_->tokens > 0) return;
  // Nothing may be thought: not even the header of a thought may come.
  if (budget_->tracker.thinking()) pending_ = budget_->close;
  end_thoughts();
}

void ChannelConstraint::check() const { failure_.check(); }

void ChannelConstraint::fill(std::span<std::uint32_t> words) noexcept {
  try {
    std::fill(words.begin(), words.end(), 0u);
    if (pending_.empty()) return matcher_->fill(words);
    const auto token = static_cast<std::size_t>(pending_.front());
    if (token / 32 < words.size()) words[token / 32] |= std::uint32_t{1} << (token % 32);
  } catch (...) {
    failure_.keep();
    std::fill(words.begin(), words.end(), 0u);
  }
}

void ChannelConstraint::accept(std::int32_t token) {
  check();
  if (!pending_.empty())
    pending_.erase(pending_.begin());
  else if (matcher_)
    matcher_->accept(token);
  if (!budget_) return;
  budget_->tracker.accept(token);
  if (!pending_.empty() || !is_used_up()) return;
  pending_ = budget_->close;
  end_thoughts();
}

bool ChannelConstraint::is_used_up() const {
  return budget_->tracker.thinking() && budget_->tracker.num_thought() >= budget_->tokens;
}

// Behind pending_.
void ChannelConstraint::end_thoughts() {
  if (budget_->answer) matcher_ = std::exchange(budget_->answer, std::nullopt);
  if (!matcher_) pending_.insert(pending_.end(), budget_->header.begin(), budget_->header.end());
}

std::vector<std::int32_t> ChannelConstraint::forced() {
  if (!pending_.empty()) return pending_;
  return matcher_ ? matcher_->forced() : std::vector<std::int32_t>{};
}

bool ChannelConstraint::finished() const {
  return pending_.empty() && matcher_ && matcher_->finished();
}

}  // namespace pippin::engine
