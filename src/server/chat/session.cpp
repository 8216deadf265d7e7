#include "server/chat/session.h"

#include <algorithm>
#include <utility>

#include "base/insist.h"
#include "base/log.h"
#include "base/thread_pool.h"
#include "server/http/errors.h"

namespace pippin::server {
namespace {

// What `times` says of one choice, taken into what is known of all.
void merge(AnswerTimes& all, const AnswerTimes& times) {
  const auto earlier = [](AnswerTimes::Time& mine, AnswerTimes::Time other) {
    const AnswerTimes::Time unset{};
    if (mine == unset || (other != unset && other < mine)) mine = other;
  };
  earlier(all.submitted, times.submitted);
  earlier(all.admitted, times.admitted);
  earlier(all.first_token, times.first_token);
  all.last_token = std::max(all.last_token, times.last_token);
}

}  // namespace

ChatSession::ChatSession(std::shared_ptr<Exchange> exchange, std::unique_ptr<Reply> reply,
                         Options options, ThreadPool& workers)
    : exchange_(std::move(exchange)),
      options_(std::move(options)),
      workers_(workers),
      reply_(std::move(reply)) {}

void ChatSession::start(ChatStreams streams) {
  {
    std::lock_guard lock(mutex_);
    try {
      begin(std::move(streams));
    } catch (...) {
      return fail_with_current();
    }
  }
  pump();
}

void ChatSession::begin(ChatStreams streams) {
  RequestRecord& record = exchange_->record();
  for (auto& stream : streams) {
    merge(record.times, stream->times());
    choices_.push_back({std::move(stream), {}, {record.begun, 0, {}, record.model}, {}});
  }
  if (options_.stream) {
    Headers headers = options_.headers;
    StreamForm form = reply_->form();
    headers.add("Content-Type", std::move(form.content_type));
    headers.add("Cache-Control", "no-cache");
    headers.add("X-Accel-Buffering", "no");  // tells nginx to pass each event on at once
    // It has begun where the model had to be loaded first.
    if (!exchange_->started()) {
      // First, so that no client that has only stopped sending is taken for one that has left as the stream starts.
      exchange_->keep_alive_with(std::move(form.keep_alive));
      exchange_->start_stream(std::move(headers));
    }
    pieces_ = reply_->open();
  }
  // Weakly, as the exchange holds the callback and the session the exchange.
  exchange_->on_disconnect([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->cancel();
  });
}

void ChatSession::cancel() {
  std::lock_guard lock(mutex_);
  for (const Choice& choice : choices_) merge(exchange_->record().times, choice.stream->times());
  choices_.clear();
}

void ChatSession::written() {
  {
    std::lock_guard lock(mutex_);
    writing_ = false;
  }
  pump();
}

void ChatSession::pump() {
  std::lock_guard lock(mutex_);
  // While a piece is on its way written() is sure to come.
  if (choices_.empty() || writing_) return;
  try {
    drain();
  } catch (...) {
    fail_with_current();
  }
}

// Takes what has arrived, passes it on, and asks to be called again.
void ChatSession::drain() {
  for (std::size_t i = 0; i < choices_.size(); ++i) take(i);
  const bool ended = std::all_of(choices_.begin(), choices_.end(),
                                 [](const Choice& choice) { return choice.finish.has_value(); });
  if (ended) return end();
  if (pieces_.empty()) return wait();
  writing_ = true;
  exchange_->write(std::exchange(pieces_, {}), [self = shared_from_this()] { self->written(); });
}

void ChatSession::take(std::size_t index) {
  Choice& choice = choices_[index];
  while (auto event = choice.stream->poll()) {
    note(choice, *event);
    if (options_.stream)
      pieces_ += reply_->add(index, *event);
    else
      reply_->fold(index, *event);
  }
}

// For whoever watches the server.
void ChatSession::note(Choice& choice, const ChatEvent& event) {
  RequestRecord& record = exchange_->record();
  auto times = choice.stream->times();
  times.last_token = event.at;
  if (times.first_token == AnswerTimes::Time{}) times.first_token = event.at;  // the end token
  if (options_.metrics) options_.metrics->answer_went_on(choice.progress, event, times);
  choice.progress.completion_tokens = event.usage.completion_tokens;
  choice.progress.last_token = times.last_token;
  choice.usage = event.usage;
  choice.finish = event.finish;
  merge(record.times, times);
  // All choices have one prompt.
  record.usage = choices_.front().usage;
  for (std::size_t i = 1; i < choices_.size(); ++i)
    record.usage.completion_tokens += choices_[i].usage.completion_tokens;
}

void ChatSession::wait() {
  for (const Choice& choice : choices_)
    if (!choice.finish)
      choice.stream->when_ready([self = shared_from_this(), &workers = workers_] {
        insist([&] { workers.post([self] { self->pump(); }); });
      });
}

void ChatSession::end() {
  exchange_->record().finish = choices_.front().finish;
  choices_.clear();
  if (!options_.stream) {
    HttpResponse response = json_response(200, reply_->whole());
    for (const auto& [name, value] : options_.headers) response.headers.add(name, value);
    return exchange_->respond(std::move(response));
  }
  pieces_ += reply_->close();
  exchange_->write(std::move(pieces_), {});
  exchange_->finish();
}

// Nobody else would tell the client: where there is no memory for its error, it waits.
void ChatSession::fail_with_current() {
  fail(insist([this] { return current_error(exchange_->request().id); }));
}

void ChatSession::fail(const Error& error) {
  choices_.clear();
  insist([&] { exchange_->record().error = error.what(); });
  if (!options_.stream || !exchange_->started())
    return insist([&] { exchange_->respond(error_response(place_of(*exchange_), error)); });
  // A stream that has begun can only say so in an event.
  insist([&] { exchange_->write(pieces_ + reply_->fail(error), {}); });
  insist([&] { exchange_->finish(); });
}

}  // namespace pippin::server
