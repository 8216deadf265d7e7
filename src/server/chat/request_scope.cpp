#include "server/chat/request_scope.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "base/insist.h"
#include "base/log.h"
#include "server/http/errors.h"

namespace pippin::server {
namespace {

Client client_of(const Exchange& exchange) {
  const std::string& peer = exchange.request().peer;
  const std::string& key = exchange.caller().id;
  return {key.empty() ? peer.substr(0, peer.rfind(':')) : key, peer};
}

}  // namespace

std::shared_ptr<RequestScope> RequestScope::begin(std::shared_ptr<Exchange> exchange, Timer& timer,
                                                  double timeout_s) {
  std::shared_ptr<RequestScope> scope(new RequestScope(std::move(exchange), timer));
  scope->watch(timeout_s);
  return scope;
}

RequestScope::RequestScope(std::shared_ptr<Exchange> exchange, Timer& timer)
    : exchange_(std::move(exchange)), timer_(timer), client_(client_of(*exchange_)) {}

RequestScope::~RequestScope() {
  if (deadline_) timer_.cancel(*deadline_);
}

// Weakly: the exchange holds the callback, and this the exchange.
void RequestScope::watch(double timeout_s) {
  if (timeout_s > 0)
    deadline_ = timer_.call_at(
        Timer::Clock::now() + std::chrono::duration_cast<Timer::Clock::duration>(
                                  std::chrono::duration<double>(std::min(timeout_s, 1e8))),
        [weak = weak_from_this()] {
          if (const auto self = weak.lock()) self->fail_late();
        });
  exchange_->on_disconnect([weak = weak_from_this()] {
    if (const auto self = weak.lock(); self && self->end(State::ended)) self->tell();
  });
}

std::function<bool()> RequestScope::asks_if_wanted() {
  return [self = shared_from_this()] { return self->wanted(); };
}

void RequestScope::fail_late() {
  fail(insist([] {
    return Error(Code::deadline_exceeded,
                 "the answer did not end in the time that the request may take");
  }));
}

void RequestScope::fail_with_current() {
  fail(insist([this] { return current_error(exchange_->request().id); }));
}

// It has ended by then: nobody else would answer, and who waits for nothing has to hear of it.
void RequestScope::fail(const Error& error) {
  if (!end(State::ended)) return;
  std::function<void(const Error&)> tell_error;
  {
    const std::lock_guard lock(mutex_);
    tell_error.swap(tell_error_);
  }
  insist([&] {
    if (tell_error) return tell_error(error);
    exchange_->respond(error_response(place_of(*exchange_), error));
  });
  tell();
}

void RequestScope::on_end(std::function<void()> ended) {
  {
    const std::lock_guard lock(mutex_);
    ended_ = std::move(ended);
  }
  if (state_ == State::ended) tell();
}

void RequestScope::tell_errors_by(std::function<void(const Error&)> tell) {
  const std::lock_guard lock(mutex_);
  tell_error_ = std::move(tell);
}

bool RequestScope::answer_begins() { return end(State::answered); }

std::optional<double> RequestScope::seconds_left() const {
  if (!deadline_) return {};
  const std::chrono::duration<double> left = deadline_->first - Timer::Clock::now();
  return std::max(left.count(), 0.001);
}

bool RequestScope::end(State state) {
  State open = State::open;
  return state_.compare_exchange_strong(open, state);
}

void RequestScope::tell() {
  std::function<void()> ended;
  {
    const std::lock_guard lock(mutex_);
    ended = std::exchange(ended_, nullptr);
  }
  if (!ended) return;
  try {
    ended();
  } catch (const std::exception& bug) {
    insist([&] { spdlog::error("[server] an end could not be told: {}", bug.what()); });
  }
}

}  // namespace pippin::server
