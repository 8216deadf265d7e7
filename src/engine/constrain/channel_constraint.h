// The restrictions of an answer in gpt-oss's messages: a grammar of all of them, a budget for what is thought.
//
// A grammar holds from the answer's first token: it says itself which thoughts may precede what is asked for. When the budget is
// used up, the thought is closed by force, and what follows is held to a grammar without thoughts, which leads to where the answer
// begins; where nothing restricts the answer, the header of the final channel is forced, too.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/constrain/channel_tracker.h"
#include "engine/constrain/constraint.h"
#include "engine/constrain/fill_failure.h"
#include "text/grammar.h"

namespace pippin::engine {

class ChannelConstraint final : public Constraint {
 public:
  struct Budget {
    std::int64_t tokens = 0;           ///< of all thoughts together
    ChannelTracker tracker;            ///< at the answer's beginning
    std::vector<std::int32_t> close;   ///< ends a thought and begins a header
    std::vector<std::int32_t> header;  ///< the rest of the final channel's
    std::optional<text::Matcher>
        answer{};  ///< of the grammar behind the last thought; none: the final channel's text is free
  };

  /// `matcher`: of the answer, thoughts included, where the prompt leaves it; none: it is free.
  ChannelConstraint(std::optional<text::Matcher> matcher, std::optional<Budget> budget);

  bool restricts() const override { return !pending_.empty() || matcher_; }
  void fill(std::span<std::uint32_t> words) noexcept override;
  void check() const override;
  void accept(std::int32_t token) override;
  std::vector<std::int32_t> forced() override;
  bool finished() const override;

 private:
  void end_thoughts();
  bool is_used_up() const;

  std::optional<text::Matcher> matcher_;  ///< of what comes behind pending_
  std::optional<Budget> budget_;
  std::vector<std::int32_t> pending_;  ///< what must come first
  FillFailure failure_;                ///< of fill()
};

}  // namespace pippin::engine
