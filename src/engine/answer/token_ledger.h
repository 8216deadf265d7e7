// Which tokens an answer's text is made of: text comes out later than its tokens, and not all of it does.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "pippin/request.h"

namespace pippin::engine {

/// Owns an answer's tokens from when they are generated until they are told. One thread at a time.
/// Always: a token is released once the text that was given out goes beyond the place where the token's own text begins; so part
/// of a character or of a stop string keeps its tokens back, and what follows a stop string's beginning is never released.
class TokenLedger {
 public:
  /// The next token; all tokens before it came out as `begin` bytes of text.
  void push(AnswerToken token, std::size_t begin) { held_.push_back({std::move(token), begin}); }

  /// The text up to `end` has been given out.
  void release(std::size_t end);
  /// Nothing is held back any more: whatever was generated is told.
  void release_all();

  /// What was released since the last call.
  std::vector<AnswerToken> take();

 private:
  struct Held {
    AnswerToken token;
    std::size_t begin;
  };

  void release_first();

  std::deque<Held> held_;  ///< in order
  std::vector<AnswerToken> released_;
};

}  // namespace pippin::engine
