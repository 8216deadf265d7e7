// The channel from the engine's thread to whoever reads an answer.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

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

/// Where a prompt left a text that the page cache knows.
struct CacheDivergence {
  std::int64_t position = 0;         ///< of the first token that differs
  std::vector<std::int32_t> cached;  ///< the known text's next tokens, at most a page's
  std::vector<std::int32_t> wanted;  ///< the prompt's
};

/// Shared by the engine's thread (push, fail) and one reader (poll, next, when_ready, cancel). Holds what was generated and
/// not read yet, up to a mark, where it asks the engine to go on with others until its reader has caught up.
class TokenStream {
 public:
  // The engine's side.
  void push(std::int32_t token, TokenLogprobs logprobs = nullptr);
  void finish(FinishReason reason);
  /// Ends the stream with an error; what was pushed before is still read first.
  void fail(Error error);
  /// From `tokens` unread ones on the stream is held, until no more than half of them are left. 0: never. Set before the
  /// stream is shared.
  void hold_at(std::size_t tokens) { hold_at_ = tokens; }
  bool held() const { return held_.load(std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
  void note_submitted();
  /// The prompt has been given pages; called once.
  void note_admitted();
  /// Of the prompt, tokens whose KV was found in the page cache. Set before the first token.
  void set_cached_tokens(std::int64_t count) {
    cached_tokens_.store(count, std::memory_order_relaxed);
  }
  /// Set before the first token, where there is one.
  void set_divergence(CacheDivergence divergence);
  /// Of the prompt's tokens, where they are wanted. Set before the first token.
  void set_prompt_logprobs(std::vector<TokenLogprobs> logprobs);
  /// Of the prompt, tokens of pictures that had to wait for the encoder. Set before the first token.
  void set_encoded_tokens(std::int64_t count) {
    encoded_tokens_.store(count, std::memory_order_relaxed);
  }

  // The reader's side.
  /// The next event, or nullopt when none has arrived (or the end was read). Throws the Error of fail().
  std::optional<TokenEvent> poll();
  /// As poll, but waits. nullopt only after the end.
  std::optional<TokenEvent> next();
  /// Calls `ready` once, when poll() would give something or throw: at once, or later on the engine's thread.
  void when_ready(std::function<void()> ready);
  /// The answer is no longer wanted; the engine frees its pages within one step.
  void cancel();
  /// Called by cancel(), and when the reader of a held stream has caught up. Set before the stream is shared.
  void on_wake(std::function<void()> wake) { wake_ = std::move(wake); }
  AnswerTimes times() const;
  std::int64_t cached_tokens() const { return cached_tokens_.load(std::memory_order_relaxed); }
  std::int64_t encoded_tokens() const { return encoded_tokens_.load(std::memory_order_relaxed); }
  /// Known once the first event has been read; taken by the first call.
  std::optional<CacheDivergence> take_divergence();
  /// The same; empty where they are not wanted.
  std::vector<TokenLogprobs> take_prompt_logprobs();

 private:
  std::optional<TokenEvent> take(std::unique_lock<std::mutex> lock);
  bool readable() const { return !events_.empty() || error_; }  // mutex_ held
  void publish(std::unique_lock<std::mutex> lock);

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<TokenEvent> events_;               // guarded by mutex_
  std::optional<Error> error_;                  // guarded by mutex_
  AnswerTimes times_;                           // guarded by mutex_
  std::optional<CacheDivergence> divergence_;   // guarded by mutex_
  std::vector<TokenLogprobs> prompt_logprobs_;  // guarded by mutex_
  std::function<void()> ready_;                 // guarded by mutex_
  bool ended_ = false;                          // guarded by mutex_: the end was read
  std::function<void()> wake_;                  // set before the stream is shared
  std::size_t hold_at_ = 0;                     // set before the stream is shared
  std::atomic<bool> held_ = false;              // written with mutex_ held
  std::atomic<bool> cancelled_ = false;
  std::atomic<std::int64_t> cached_tokens_ = 0;
  std::atomic<std::int64_t> encoded_tokens_ = 0;
};

}  // namespace pippin::engine
