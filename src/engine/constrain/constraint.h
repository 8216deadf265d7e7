// What restricts an answer's tokens: a grammar, the end of reasoning that takes too long.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace pippin::engine {

/// Owned by its sequence and told of every token that the answer gets. What it says depends on these alone, so an answer
/// that is preempted and computed again goes on as if nothing had happened. On the engine's thread, but for fill().
class Constraint {
 public:
  virtual ~Constraint() = default;

  /// Whether the next token is restricted.
  virtual bool restricts() const = 0;
  /// Bit t % 32 of words[t / 32]: whether token t may come next. Called where restricts(), by another thread while
  /// no other member is. Never throws: what goes wrong is thrown by check() and by the next accept().
  virtual void fill(std::span<std::uint32_t> words) noexcept = 0;
  /// Throws Error where fill() could not find out what may come: whatever was sampled since means nothing, an end neither.
  virtual void check() const {}
  /// A token that may come although fill() does not allow it: where it is what would be chosen if all were allowed. -1: none.
  virtual std::int32_t escape() const { return -1; }
  /// The token that the answer gets where this one was sampled: mostly itself.
  virtual std::int32_t instead_of(std::int32_t token) const { return token; }
  /// The answer has got the token. Throws Error where it may not have it, or where it can't be followed any further.
  virtual void accept(std::int32_t token) = 0;
  /// The tokens that must come next, in order: they are appended without being sampled. fill() allows nothing but the first.
  virtual std::vector<std::int32_t> forced() = 0;
  /// Nothing may follow: the answer ends.
  virtual bool finished() const = 0;
};

}  // namespace pippin::engine
