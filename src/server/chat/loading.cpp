// ChatService's part that waits for models to be loaded.
#include <chrono>
#include <ctime>
#include <memory>
#include <mutex>
#include <utility>

#include "base/insist.h"
#include "server/chat/service.h"

namespace pippin::server {

// A stream whose model is not loaded yet.
struct ChatService::Streaming {
  MakeReply make_reply;
  ReplyFacts facts;
  Headers headers;
  std::vector<std::string> ignored;
  std::mutex mutex;
  bool over = false;             // guarded: the model is loaded, or can't be
  std::unique_ptr<Reply> reply;  // guarded: present once the stream has begun
};

std::shared_ptr<ChatService::Streaming> ChatService::begin_streaming(
    const RequestScope& scope, MakeReply make_reply, Headers headers, const std::string& model,
    const std::vector<std::string>& ignored) {
  auto streaming = std::make_shared<Streaming>();
  streaming->make_reply = std::move(make_reply);
  streaming->facts = {scope.exchange().request().id, model, std::time(nullptr), 0, nullptr};
  streaming->headers = std::move(headers);
  streaming->ignored = ignored;
  return streaming;
}

// Begins the answer though there is nothing to tell yet: clients and proxies give up where nothing comes.
void ChatService::begin_stream_in_time(const std::shared_ptr<RequestScope>& scope,
                                       const std::shared_ptr<Streaming>& streaming) {
  const auto begin = [](RequestScope& of, Streaming& stream) {
    const std::lock_guard lock(stream.mutex);
    if (stream.over || !of.wanted()) return;
    stream.reply = stream.make_reply(stream.facts);
    Exchange& exchange = of.exchange();
    StreamForm form = stream.reply->form();
    Headers headers = stream.headers;
    report_ignored(stream.ignored, stream.facts.request_id, headers);
    headers.add("Content-Type", std::move(form.content_type));
    headers.add("Cache-Control", "no-cache");
    headers.add("X-Accel-Buffering", "no");
    of.tell_errors_by([exchange = of.shared_exchange(), reply = std::shared_ptr<Reply>(std::move(
                                                            stream.reply))](const Error& error) {
      exchange->record().error = error.what();
      exchange->write(reply->fail(error), {});
      exchange->finish();
    });
    exchange.keep_alive_with(form.keep_alive);
    exchange.start_stream(std::move(headers));
    exchange.write(std::move(form.keep_alive), {});
  };
  const auto patience = std::chrono::duration_cast<Timer::Clock::duration>(
      std::chrono::duration<double>(options_.stream_patience_s));
  timer_.call_at(Timer::Clock::now() + patience,
                 [scope = std::weak_ptr(scope), streaming, begin, &workers = workers_] {
                   attempt([&] {
                     workers.post([scope, streaming, begin] {
                       if (const auto open = scope.lock()) begin(*open, *streaming);
                     });
                   });
                 });
}

// At once, where it is loaded. `streaming`: null where the answer is whole.
void ChatService::with_model(const std::shared_ptr<RequestScope>& scope, const std::string& name,
                             std::shared_ptr<Streaming> streaming, WithModel then) {
  if (ModelUsePtr loaded = models_.use_loaded(name)) return then(std::move(loaded));
  const auto over = [streaming] {
    if (!streaming) return;
    const std::lock_guard lock(streaming->mutex);
    streaming->over = true;
  };
  if (streaming) begin_stream_in_time(scope, streaming);
  models_.use(
      name, scope->asks_if_wanted(),
      [this, scope, over, then = std::move(then)](ModelUsePtr model) {
        over();
        insist([&] {
          loaders_.post(scope->client(),
                        [scope, then, model] { scope->run([&] { then(model); }); });
        });
      },
      [scope, over](const Error& error) {
        over();
        scope->fail(error);
      });
}

}  // namespace pippin::server
