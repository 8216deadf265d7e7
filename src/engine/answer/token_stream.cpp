#include "engine/answer/token_stream.h"

#include <utility>

namespace pippin::engine {
namespace {

AnswerTimes::Time now() { return std::chrono::steady_clock::now(); }

bool is_set(AnswerTimes::Time time) { return time != AnswerTimes::Time{}; }

}  // namespace

void TokenStream::note_submitted() {
  const MutexLock lock(mutex_);
  times_.submitted = now();
}

void TokenStream::note_admitted() {
  const MutexLock lock(mutex_);
  times_.admitted = now();
}

AnswerTimes TokenStream::times() const {
  const MutexLock lock(mutex_);
  return times_;
}

void TokenStream::push(std::int32_t token, TokenLogprobs logprobs) {
  MutexLock lock(mutex_);
  times_.last_token = now();
  if (!is_set(times_.first_token)) times_.first_token = times_.last_token;
  events_.push_back({token, std::nullopt, times_.last_token, std::move(logprobs)});
  if (stall_at_ > 0 && events_.size() >= stall_at_) stalled_.store(true, std::memory_order_relaxed);
  const auto ready = take_ready();
  lock.unlock();
  notify(ready);
}

void TokenStream::finish(FinishReason reason) {
  MutexLock lock(mutex_);
  finish_ = TokenEvent{0, reason, now()};
  const auto ready = take_ready();
  lock.unlock();
  notify(ready);
}

void TokenStream::fail(Error error) {
  MutexLock lock(mutex_);
  error_ = std::move(error);
  const auto ready = take_ready();
  lock.unlock();
  notify(ready);
}

void TokenStream::set_divergence(CacheDivergence divergence) {
  const MutexLock lock(mutex_);
  divergence_ = std::move(divergence);
}

std::optional<CacheDivergence> TokenStream::take_divergence() {
  const MutexLock lock(mutex_);
  return std::exchange(divergence_, std::nullopt);
}

void TokenStream::set_prompt_logprobs(std::vector<TokenLogprobs> logprobs) {
  const MutexLock lock(mutex_);
  prompt_logprobs_ = std::move(logprobs);
}

std::vector<TokenLogprobs> TokenStream::take_prompt_logprobs() {
  const MutexLock lock(mutex_);
  return std::exchange(prompt_logprobs_, {});
}

std::function<void()> TokenStream::take_ready() { return std::exchange(ready_, nullptr); }

void TokenStream::notify(const std::function<void()>& ready) {
  arrived_.notify_one();
  if (ready) ready();
}

std::optional<TokenEvent> TokenStream::take() {
  if (!events_.empty()) {
    TokenEvent event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  if (std::exchange(ended_, finish_ || error_)) return {};
  if (!finish_ && error_) throw *error_;
  return finish_;
}

bool TokenStream::catch_up() {
  const bool caught_up = stalled() && events_.size() <= stall_at_ / 2;
  if (caught_up) stalled_.store(false, std::memory_order_relaxed);
  return caught_up;
}

std::optional<TokenEvent> TokenStream::poll() { return read(false); }

std::optional<TokenEvent> TokenStream::next() { return read(true); }

std::optional<TokenEvent> TokenStream::read(bool waits) {
  MutexLock lock(mutex_);
  if (waits) arrived_.wait(mutex_, [this]() REQUIRES(mutex_) { return ended_ || readable(); });
  auto event = take();
  const bool wakes = catch_up();
  lock.unlock();
  if (wakes && wake_) wake_();
  return event;
}

void TokenStream::when_ready(std::function<void()> ready) {
  {
    const MutexLock lock(mutex_);
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
