// The restrictions that a request asks for: a grammar for its answer, a budget for the reasoning before it.
//
// The answer's sections are told by tokens: it may begin with the mark that opens reasoning (or the prompt has), and the
// grammar holds from behind the mark that closes it. Where the model would end an answer in its reasoning, it closes that. Whether it begins with
// reasoning is the model's free choice: a grammar whose beginning it finds unlikely must not drive it there.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/constrain/constraint.h"
#include "engine/constrain/fill_failure.h"
#include "text/grammar.h"

namespace pippin::engine {

/// How a model marks reasoning, in tokens.
struct ReasoningMarks {
  std::vector<std::int32_t> open, close;  ///< empty: it has none
  /// Line breaks that may stand between the closing mark and the answer.
  std::vector<std::int32_t> breaks;
};

class AnswerConstraint final : public Constraint {
 public:
  /// Where the prompt leaves the answer.
  enum class Start {
    answer,     ///< it is the answer; there is no reasoning
    undecided,  ///< it is the answer, unless it begins with the mark that opens reasoning
    reasoning,  ///< the prompt has opened it
  };

  struct Options {
    Start start = Start::answer;
    ReasoningMarks marks;
    std::optional<text::Matcher> matcher;       ///< of the answer's grammar, at its beginning
    std::optional<std::int64_t> budget;         ///< tokens of reasoning; then it is closed
    std::vector<std::int32_t> end_tokens = {};  ///< that end an answer
  };

  explicit AnswerConstraint(Options options);

  /// The answer is there up to here: these tokens are its first. Of a budget they take nothing. False where the grammar allows no such
  /// answer; the constraint is of no use then.
  bool go_on_from(const std::vector<std::int32_t>& tokens);

  bool restricts() const override;
  void fill(std::span<std::uint32_t> words) noexcept override;
  void check() const override;
  std::int32_t escape() const override;
  std::int32_t instead_of(std::int32_t token) const override;
  void accept(std::int32_t token) override;
  std::vector<std::int32_t> forced() override;
  bool finished() const override;

 private:
  enum class Section { undecided, reasoning, gap, answer };

  void fill_section(std::span<std::uint32_t> words);
  void accept_reasoning(std::int32_t token);
  void accept_answer(std::int32_t token);
  void begin_reasoning();
  bool allows(std::int32_t token);
  bool closed() const;
  bool is_break(std::int32_t token) const;

  Options options_;
  Section section_ = Section::answer;
  std::vector<std::int32_t>
      thought_;  ///< the latest tokens of the reasoning, as many as may be the closing mark
  std::int64_t num_thought_ = 0;
  std::vector<std::int32_t> pending_;  ///< of a mark that is forced: what is still to come
  int num_breaks_ = 0;
  FillFailure failure_;  ///< of fill()
};

}  // namespace pippin::engine
