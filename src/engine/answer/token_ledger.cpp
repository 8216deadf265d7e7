#include "engine/answer/token_ledger.h"

#include <utility>

namespace pippin::engine {

void TokenLedger::release(std::size_t end) {
  while (!held_.empty() && held_.front().begin < end) release_first();
}

void TokenLedger::release_all() {
  while (!held_.empty()) release_first();
}

void TokenLedger::release_first() {
  released_.push_back(std::move(held_.front().token));
  held_.pop_front();
}

std::vector<AnswerToken> TokenLedger::take() { return std::exchange(released_, {}); }

}  // namespace pippin::engine
