#include "engine/answer/token_stream.h"

#include <utility>

namespace pippin::engine {
namespace {

AnswerTimes::Time now() { return std::chrono::steady_clock::now(); }

bool is_set(AnswerTimes::Time time) { return time != AnswerTimes::Time{}; }

}  // namespace

void TokenStream::note_submitted() {
  std::lock_guard lock(mutex_);
  times_.submitted = now();
}

void TokenStream::note_admitted() {
  std::lock_guard lock(mutex_);
  times_.admitted = now();
}

AnswerTimes TokenStream::times() const {
  std::lock_guard lock(mutex_);
  return times_;
}

void TokenStream::push(std::int32_t token, TokenLogprobs logprobs) {
  std::unique_lock lock(mutex_);
  times_.last_token = now();
  if (!is_set(times_.first_token)) times_.first_token = times_.last_token;
  events_.push_back({token, std::nullopt, times_.last_token, std::move(logprobs)});
  if (stall_at_ > 0 && events_.size() >= stall_at_) stalled_.store(true, std::memory_order_relaxed);
  publish(std::move(lock));
}

void TokenStream::finish(FinishReason reason) {
  std::unique_lock lock(mutex_);
  finish_ = TokenEvent{0, reason, now()};
  publish(std::move(lock));
}

void TokenStream::fail(Error error) {
  std::unique_lock lock(mutex_);
  error_ = std::move(error);
  publish(std::move(lock));
}

void TokenStream::set_divergence(CacheDivergence divergence) {
  std::lock_guard lock(mutex_);
  divergence_ = std::move(divergence);
}

std::optional<CacheDivergence> TokenStream::take_divergence() {
  std::lock_guard lock(mutex_);
  return std::exchange(divergence_, std::nullopt);
}

void TokenStream::set_prompt_logprobs(std::vector<TokenLogprobs> logprobs) {
  std::lock_guard lock(mutex_);
  prompt_logprobs_ = std::move(logprobs);
}

std::vector<TokenLogprobs> TokenStream::take_prompt_logprobs() {
  std::lock_guard lock(mutex_);
  return std::exchange(prompt_logprobs_, {});
}

void TokenStream::publish(std::unique_lock<std::mutex> lock) {
  auto ready = std::exchange(ready_, nullptr);
  lock.unlock();
  arrived_.notify_one();
  if (ready) ready();
}

std::optional<TokenEvent> TokenStream::take(std::unique_lock<std::mutex> lock) {
  if (!events_.empty()) {
    TokenEvent event = std::move(events_.front());
    events_.pop_front();
    const bool caught_up = stalled() && events_.size() <= stall_at_ / 2;
    if (caught_up) stalled_.store(false, std::memory_order_relaxed);
    lock.unlock();
    if (caught_up && wake_) wake_();
    return event;
  }
  if (std::exchange(ended_, finish_ || error_)) return {};
  if (!finish_ && error_) throw *error_;
  return finish_;
}

std::optional<TokenEvent> TokenStream::poll() { return take(std::unique_lock(mutex_)); }

std::optional<TokenEvent> TokenStream::next() {
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [this] { return ended_ || readable(); });
  return take(std::move(lock));
}

void TokenStream::when_ready(std::function<void()> ready) {
  {
    std::lock_guard lock(mutex_);
    if (!readable() && !ended_) {
      ready_ = std::move(ready);
      return;
    }
  }
  ready();
}

void TokenStream::cancel() {
  cancelled_.store(true, std::memory_order_relaxed);
  if (wake_) wake_();
}

}  // namespace pippin::engine
