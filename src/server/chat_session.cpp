#include "server/chat_session.h"

#include <utility>

#include "base/log.h"
#include "base/thread_pool.h"
#include "server/errors.h"
#include "server/metrics.h"
#include "server/sse.h"

namespace pippin::server {

ChatSession::ChatSession(std::shared_ptr<Exchange> exchange, ChatReply reply, Options options,
                         ThreadPool& workers)
    : exchange_(std::move(exchange)),
      reply_(std::move(reply)),
      options_(std::move(options)),
      workers_(workers) {}

void ChatSession::start(std::unique_ptr<EventSource> source) {
  source_ = std::move(source);
  exchange_->record().times = source_->times();
  if (options_.stream) {
    Headers headers = options_.headers;
    headers.add("Content-Type", "text/event-stream; charset=utf-8");
    headers.add("Cache-Control", "no-cache");
    headers.add("X-Accel-Buffering", "no");  // tells nginx to pass each event on at once
    exchange_->start_stream(std::move(headers));
    chunks_ = sse_event(reply_.role_chunk());
  }
  // Weakly, as the exchange holds the callback and the session the exchange.
  exchange_->on_disconnect([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->cancel();
  });
  pump();
}

void ChatSession::cancel() {
  std::lock_guard lock(mutex_);
  if (source_) exchange_->record().times = source_->times();
  source_.reset();
}

void ChatSession::pump() {
  std::lock_guard lock(mutex_);
  if (!source_) return;
  try {
    drain();
  } catch (const Error& error) {
    fail(error);
  } catch (const std::exception& bug) {
    const std::string& id = exchange_->request().id;
    spdlog::error("[chat] {} failed: {}", id, bug.what());
    fail(
        Error(Code::internal, "internal error; the server's log says more under request id " + id));
  }
}

// Takes what has arrived, passes it on, and asks to be called again.
void ChatSession::drain() {
  while (auto event = source_->poll()) {
    note(*event);
    take(*event);
  }
  if (source_->finished()) return end();
  auto again = [self = shared_from_this()] { self->pump(); };
  if (options_.stream && !chunks_.empty())
    exchange_->write(std::exchange(chunks_, {}), std::move(again));
  else
    source_->when_ready([again = std::move(again), &workers = workers_] { workers.post(again); });
}

// For whoever watches the server.
void ChatSession::note(const ChatEvent& event) {
  RequestRecord& record = exchange_->record();
  auto times = source_->times();
  times.last_token = event.at;
  if (times.first_token == AnswerTimes::Time{}) times.first_token = event.at;  // the end token
  if (options_.metrics) options_.metrics->answer_went_on(record, event, times);
  record.usage = event.usage;
  record.times = times;
  record.finish = event.finish;
}

void ChatSession::take(const ChatEvent& event) {
  if (!options_.stream) return answer_.add(event);
  if (!event.text.empty() || !event.reasoning.empty() || event.tool_call)
    chunks_ += sse_event(reply_.delta_chunk(event));
  answer_.usage = event.usage;
  if (event.finish) answer_.finish = *event.finish;
}

void ChatSession::end() {
  source_.reset();
  if (!options_.stream) {
    HttpResponse response = json_response(200, reply_.completion(answer_));
    for (const auto& [name, value] : options_.headers) response.headers.add(name, value);
    return exchange_->respond(std::move(response));
  }
  chunks_ += sse_event(reply_.finish_chunk(answer_.finish));
  if (options_.include_usage) chunks_ += sse_event(reply_.usage_chunk(answer_.usage));
  chunks_ += sse_done;
  exchange_->write(std::move(chunks_), {});
  exchange_->finish();
}

void ChatSession::fail(const Error& error) {
  source_.reset();
  if (!options_.stream) return exchange_->respond(error_response(error));
  // A stream that has begun can only say so in an event.
  exchange_->record().error = error.what();
  exchange_->write(chunks_ + sse_event(error_body(error)), {});
  exchange_->finish();
}

}  // namespace pippin::server
