// The channel from the engine's thread to whoever reads an answer.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/mutex.h"
#include "pippin/error.h"
#include "pippin/request.h"

namespace pippin::engine {

/// A token's log-probabilities, without bytes; null where not asked for.
using TokenLogprobs = std::shared_ptr<const AnswerToken>;

/// One generated token, or (where finish is set) the end.
struct TokenEvent {
  std::int32_t token = 0;
  std::optional<FinishReason> finish;
  AnswerTimes::Time at = {};  ///< when it was pushed
  TokenLogprobs logprobs = {};
};

/// Where a prompt diverges from a cached text.
struct CacheDivergence {
  std::int64_t position = 0;         ///< index of the first token that differs
  std::vector<std::int32_t> cached;  ///< next tokens of the cached text, at most a page
  std::vector<std::int32_t> wanted;  ///< next tokens of the prompt
};

/// Shared by the engine's thread (push, fail) and one reader (poll, next, when_ready, cancel). Holds generated tokens that are
/// unread. Past a mark the stream is stalled: the engine skips its sequence until the reader has caught up.
class TokenStream {
 public:
  // The engine's side.
  void push(std::int32_t token, TokenLogprobs logprobs = nullptr);
  /// Ends the stream. Takes no memory, as fail(): who has ended has to hear of it.
  void finish(FinishReason reason);
  /// Ends the stream with an error, unless it has ended. The reader gets earlier tokens first.
  void fail(Error error);
  /// The stream is stalled from `tokens` unread tokens on, until half of them are read. 0: never. Set before the stream is shared.
  void stall_at(std::size_t tokens) { stall_at_ = tokens; }
  bool stalled() const { return stalled_.load(std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
  void note_submitted();
  /// Notes that the sequence was admitted. Called once.
  void note_admitted();
  /// Prompt tokens whose KV came from the page cache. Set before the first token.
  void set_cached_tokens(std::int64_t count) {
    cached_tokens_.store(count, std::memory_order_relaxed);
  }
  /// Set before the first token, if the prompt diverges from a cached text.
  void set_divergence(CacheDivergence divergence);
  /// Log-probabilities of the prompt's tokens, if wanted. Set before the first token.
  void set_prompt_logprobs(std::vector<TokenLogprobs> logprobs);
  /// Prompt tokens of images that waited for the encoder. Set before the first token.
  void set_encoded_tokens(std::int64_t count) {
    encoded_tokens_.store(count, std::memory_order_relaxed);
  }

  // The reader's side.
  /// The next event; nullopt if none has arrived or the end was read. Throws the Error of fail().
  std::optional<TokenEvent> poll();
  /// As poll, but waits. Returns nullopt only after the end.
  std::optional<TokenEvent> next();
  /// Calls `ready` once, when poll() would return an event or throw: at once, or later on the engine's thread.
  void when_ready(std::function<void()> ready);
  /// Cancels the answer. The engine frees its pages within one step.
  void cancel();
  /// `wake` is called by cancel(), and when the reader of a stalled stream has caught up. Set before the stream is shared.
  void on_wake(std::function<void()> wake) { wake_ = std::move(wake); }
  AnswerTimes times() const;
  std::int64_t cached_tokens() const { return cached_tokens_.load(std::memory_order_relaxed); }
  std::int64_t encoded_tokens() const { return encoded_tokens_.load(std::memory_order_relaxed); }
  /// Available after the first event was read. The first call takes it.
  std::optional<CacheDivergence> take_divergence();
  /// As take_divergence; empty if not wanted.
  std::vector<TokenLogprobs> take_prompt_logprobs();

 private:
  std::optional<TokenEvent> read(bool waits);
  std::optional<TokenEvent> take() REQUIRES(mutex_);
  /// Whether the reader of a stalled stream has just caught up: the engine has to hear of it.
  bool catch_up() REQUIRES(mutex_);
  bool readable() const REQUIRES(mutex_) { return !events_.empty() || finish_ || error_; }
  std::function<void()> take_ready() REQUIRES(mutex_);
  void notify(const std::function<void()>& ready);

  mutable Mutex mutex_;
  ConditionVariable arrived_;
  std::deque<TokenEvent> events_ GUARDED_BY(mutex_);     // tokens
  std::optional<TokenEvent> finish_ GUARDED_BY(mutex_);  // the end, behind these
  std::optional<Error> error_ GUARDED_BY(mutex_);
  AnswerTimes times_ GUARDED_BY(mutex_);
  std::optional<CacheDivergence> divergence_ GUARDED_BY(mutex_);
  std::vector<TokenLogprobs> prompt_logprobs_ GUARDED_BY(mutex_);
  std::function<void()> ready_ GUARDED_BY(mutex_);
  bool ended_ GUARDED_BY(mutex_) = false;  // the end was read
  std::function<void()> wake_;             // set before the stream is shared
  std::size_t stall_at_ = 0;               // set before the stream is shared
  std::atomic<bool> stalled_ = false;      // written with mutex_ held
  std::atomic<bool> cancelled_ = false;
  std::atomic<std::int64_t> cached_tokens_ = 0;
  std::atomic<std::int64_t> encoded_tokens_ = 0;
};

}  // namespace pippin::engine
