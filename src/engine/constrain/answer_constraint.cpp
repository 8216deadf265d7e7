#include "engine/constrain/answer_constraint.h"

#include <algorithm>
#include <utility>

#include "pippin/error.h"

namespace pippin::engine {
namespace {

constexpr int max_breaks = 2;  // "\n" "\n", or "\n\n"

void allow(std::span<std::uint32_t> words, std::int32_t token) {
  const auto at = static_cast<std::size_t>(token) / 32;
  if (at < words.size()) words[at] |= std::uint32_t{1} << (token % 32);
}

}  // namespace

AnswerConstraint::AnswerConstraint(Options options) : options_(std::move(options)) {
  if (options_.start == Start::reasoning) begin_reasoning();
  if (options_.start == Start::undecided) section_ = Section::undecided;
}

// Also in the budget's place: a budget of none closes what the prompt has opened.
void AnswerConstraint::begin_reasoning() {
  section_ = Section::reasoning;
  if (options_.budget && *options_.budget <= 0) pending_ = options_.marks.close;
}

bool AnswerConstraint::go_on_from(const std::vector<std::int32_t>& tokens) {
  const auto budget = std::exchange(options_.budget, std::nullopt);
  pending_.clear();
  for (const auto token : tokens) {
    if (!allows(token)) return false;
    accept(token);
  }
  options_.budget = budget;
  num_thought_ = 0;
  if (section_ == Section::reasoning) begin_reasoning();
  return true;
}

// Whether a token that is not forced may come.
bool AnswerConstraint::allows(std::int32_t token) {
  const bool thinks = section_ == Section::reasoning || token == escape();
  const bool breaks = section_ == Section::gap && is_break(token);
  return thinks || breaks || !options_.matcher || options_.matcher->allows(token);
}

bool AnswerConstraint::restricts() const {
  return !pending_.empty() || (options_.matcher && section_ != Section::reasoning);
}

void AnswerConstraint::fill(std::span<std::uint32_t> words) noexcept {
  try {
    fill_section(words);
  } catch (...) {
    failure_.keep();
    std::fill(words.begin(), words.end(), 0u);
  }
}

void AnswerConstraint::fill_section(std::span<std::uint32_t> words) {
  if (!pending_.empty()) {
    std::fill(words.begin(), words.end(), 0u);
    return allow(words, pending_.front());
  }
  options_.matcher->fill(words);
  if (section_ == Section::gap)
    for (const auto token : options_.marks.breaks) allow(words, token);
}

std::int32_t AnswerConstraint::escape() const {
  return section_ == Section::undecided ? options_.marks.open.front() : -1;
}

std::int32_t AnswerConstraint::instead_of(std::int32_t token) const {
  const auto& ends = options_.end_tokens;
  const bool ends_early = section_ == Section::reasoning && options_.matcher && pending_.empty() &&
                          std::find(ends.begin(), ends.end(), token) != ends.end();
  return ends_early ? options_.marks.close.front() : token;
}

void AnswerConstraint::check() const { failure_.check(); }

void AnswerConstraint::accept(std::int32_t token) {
  check();
  if (!pending_.empty()) pending_.erase(pending_.begin());
  switch (section_) {
    case Section::undecided:
      if (token == options_.marks.open.front()) return begin_reasoning();
      section_ = Section::answer;
      return accept_answer(token);
    case Section::reasoning:
      return accept_reasoning(token);
    case Section::gap:
      if (is_break(token) && !options_.matcher->allows(token)) {
        if (++num_breaks_ == max_breaks) section_ = Section::answer;
        return;
      }
      section_ = Section::answer;
      return accept_answer(token);
    case Section::answer:
      return accept_answer(token);
  }
}

void AnswerConstraint::accept_reasoning(std::int32_t token) {
  const auto& close = options_.marks.close;
  thought_.push_back(token);
  if (thought_.size() > close.size()) thought_.erase(thought_.begin());
  ++num_thought_;
  if (closed())
    section_ = options_.matcher ? Section::gap : Section::answer;
  else if (pending_.empty() && options_.budget && num_thought_ >= *options_.budget)
    pending_ = close;
}

void AnswerConstraint::accept_answer(std::int32_t token) {
  if (options_.matcher) options_.matcher->accept(token);
}

bool AnswerConstraint::closed() const { return thought_ == options_.marks.close; }

bool AnswerConstraint::is_break(std::int32_t token) const {
  const auto& breaks = options_.marks.breaks;
  return std::find(breaks.begin(), breaks.end(), token) != breaks.end();
}

std::vector<std::int32_t> AnswerConstraint::forced() {
  if (!pending_.empty()) return pending_;
  if (section_ != Section::answer || !options_.matcher) return {};
  return options_.matcher->forced();
}

bool AnswerConstraint::finished() const {
  return section_ == Section::answer && options_.matcher && options_.matcher->finished();
}

}  // namespace pippin::engine
