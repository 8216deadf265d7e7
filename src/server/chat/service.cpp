#include "server/chat/service.h"

#include <algorithm>
#include <ctime>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include "base/insist.h"
#include "base/log.h"
#include "pippin/error.h"
#include "server/chat/canonical.h"
#include "server/chat/session.h"
#include "server/chat/tool_fields.h"
#include "server/chat/truncation.h"
#include "server/http/errors.h"
#include "server/observe/metrics.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

// The longest X-Pippin-Ignored header: clients cap the size of answers' headers.
constexpr std::size_t max_ignored_bytes = 1000;

// Files take one part in so many of the memory for decoded pictures and videos, while they are fetched and until they are decoded.
constexpr std::int64_t fetched_part = 5;

media::FetchOptions fetch_options(const ChatServiceOptions& options, std::int64_t memory) {
  media::FetchOptions fetch = options.fetch;
  fetch.max_held_bytes = memory / fetched_part;
  return fetch;
}

// One more than cores, which one owner does not get: so others' turns come, whatever he sends.
ThreadPool::Options media_threads() {
  const std::size_t cores = std::max(2u, std::thread::hardware_concurrency());
  return {.num_threads = cores + 1, .max_per_owner = cores, .background = true};
}

bool restricts(const ResponseFormat& format) { return format.kind != ResponseFormat::Kind::text; }

bool wants_grammar(const ChatRequest& request) {
  const ToolChoice& choice = request.tool_choice;
  return restricts(request.format) || choice.required ||
         (choice.strict && !request.tools_json.empty());
}

// What is left of the time goes to the engine, which counts it for itself.
void hand_over_time(const RequestScope& scope, StopOptions& stop) {
  if (const auto left = scope.seconds_left()) stop.timeout_s = *left;
}

// Does `work` for a request when its client's turn on `threads` comes.
void post_turn(ThreadPool& threads, const std::shared_ptr<RequestScope>& scope,
               std::function<void()> work) {
  threads.post(scope->client(), [scope, work = std::move(work)] { scope->run(work); });
}

// The engine's errors name parts of tools by its own paths.
ChatStreams ask(Engine& engine, ChatRequest request, int num_choices, const ToolFields& fields) {
  try {
    return engine.chat(std::move(request), num_choices);
  } catch (const Error& error) {
    throw Error(error.code(), fields.as_sent(error.what()), fields.as_sent(error.field()));
  }
}

// A field's name as a header may carry it: percent-encoded where it has other than the characters of plain names.
std::string header_safe(std::string_view name) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : name) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
        c == '.' || c == '-') {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', digits[byte >> 4], digits[byte & 15]};
    }
  }
  return out;
}

std::int64_t decoded_bytes(const ModelPool& models, const ChatServiceOptions& options) {
  if (options.decoded_bytes >= 0) return options.decoded_bytes;
  const auto loaded = models.loaded();
  return loaded.empty() ? 0 : loaded.front()->engine().stats().memory.decoded;
}

std::string join_ignored(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    const std::string safe = header_safe(name);
    if (out.size() + safe.size() > max_ignored_bytes) return out + (out.empty() ? "..." : ", ...");
    if (!out.empty()) out += ", ";
    out += safe;
  }
  return out;
}

}  // namespace

// Closed when the service goes, whatever the engine still compiles for it.
struct ChatService::Door {
  std::mutex mutex;
  bool open = true;  // guarded
};

void report_ignored(const std::vector<std::string>& ignored, const std::string& request_id,
                    Headers& headers) {
  if (ignored.empty()) return;
  const std::string list = join_ignored(ignored);
  spdlog::warn("[server] {}: unknown fields are ignored: {}", request_id, list);
  headers.add("X-Pippin-Ignored", list);
}

ChatService::ChatService(ModelPool& models, ChatServiceOptions options, ThreadPool& workers,
                         ThreadPool& loaders)
    : models_(models),
      options_(std::move(options)),
      decoded_bytes_(decoded_bytes(models, options_)),
      decoded_(options_.decoded_cache_bytes),
      decoded_memory_(decoded_bytes_ * (fetched_part - 1) / fetched_part,
                      [this](std::int64_t bytes) { decoded_.drop_unused(bytes); }),
      workers_(workers),
      loaders_(loaders),
      door_(std::make_shared<Door>()),
      media_threads_(media_threads()),
      fetcher_(fetch_options(options_, decoded_bytes_)) {}

ChatService::~ChatService() {
  const std::lock_guard lock(door_->mutex);
  door_->open = false;
}

std::shared_ptr<RequestScope> ChatService::scope_of(std::shared_ptr<Exchange> exchange,
                                                    double timeout_s) const {
  exchange->drop_body();  // it is understood
  double least = options_.request_timeout_s;
  if (timeout_s > 0 && (least == 0 || timeout_s < least)) least = timeout_s;
  return RequestScope::begin(std::move(exchange), timer_, least);
}

// Where a server serves one model, that stays loaded whatever clients say.
void ChatService::keep_model(const Exchange& exchange, ModelUse& model,
                             std::optional<double> seconds) const {
  if (seconds && models_.takes_keep_alive() && exchange.caller().admin) model.keep_for(*seconds);
}

void ChatService::answer(std::shared_ptr<Exchange> exchange, ChatCall call, MakeReply make_reply,
                         Headers headers) {
  check(call.model, call.ignored);
  auto scope = scope_of(std::move(exchange), call.request.stop.timeout_s);
  std::shared_ptr<Streaming> streaming;
  if (call.stream)
    streaming = begin_streaming(*scope, make_reply, headers, call.model, call.ignored);
  const std::string name = call.model;
  auto shared = std::make_shared<ChatCall>(std::move(call));
  with_model(scope, name, std::move(streaming),
             [this, scope, shared, make_reply = std::move(make_reply),
              headers = std::move(headers)](const ModelUsePtr& model) {
               keep_model(scope->exchange(), *model, shared->keep_alive_s);
               prepare(
                   scope, model, std::move(*shared), true,
                   [this, scope, model, make_reply, headers](ChatCall& loaded, int audio_tracks) {
                     begin(scope, model, loaded, audio_tracks, make_reply, headers);
                   });
             });
}

void ChatService::complete(std::shared_ptr<Exchange> exchange, CompletionCall call,
                           MakeReply make_reply) {
  check(call.model, call.ignored);
  double timeout_s = 0;
  for (const CompletionRequest& request : call.requests)
    timeout_s = std::max(timeout_s, request.stop.timeout_s);
  auto scope = scope_of(std::move(exchange), timeout_s);
  std::shared_ptr<Streaming> streaming;
  if (call.stream) streaming = begin_streaming(*scope, make_reply, {}, call.model, call.ignored);
  auto shared = std::make_shared<CompletionCall>(std::move(call));
  for (CompletionRequest& request : shared->requests)
    request.cache_salt = cache_salt(scope->exchange(), request.cache_salt);
  with_model(scope, shared->model, std::move(streaming),
             [this, scope, shared, make_reply = std::move(make_reply)](const ModelUsePtr& model) {
               keep_model(scope->exchange(), *model, shared->keep_alive_s);
               auto work = [this, scope, model, shared, make_reply] {
                 complete_now(scope, model, *shared, make_reply);
               };
               CompletionRequest& first = shared->requests.front();  // all have one format
               if (!restricts(first.format)) return post_turn(loaders_, scope, std::move(work));
               when_prepared(scope, model, first, loaders_, std::move(work));
             });
}

void ChatService::complete_now(const std::shared_ptr<RequestScope>& scope, const ModelUsePtr& model,
                               const CompletionCall& call, const MakeReply& make_reply) {
  const std::shared_ptr<Exchange>& exchange = scope->shared_exchange();
  const ReplyFacts facts = begin_record(*exchange, *model, call.model, call.stream);
  Headers headers;
  report_ignored(call.ignored, facts.request_id, headers);
  ChatSession::Options options{call.stream, std::move(headers), options_.metrics, model};
  auto session =
      std::make_shared<ChatSession>(exchange, make_reply(facts), std::move(options), workers_);
  ChatStreams streams;
  for (CompletionRequest request : call.requests) {
    request.grammars = call.requests.front().grammars;
    request.hooks.wanted = [scope = scope.get()] { return scope->wanted(); };
    hand_over_time(*scope, request.stop);
    for (auto& stream : model->engine().complete(std::move(request), call.num_choices))
      streams.push_back(std::move(stream));
  }
  if (scope->answer_begins()) session->start(std::move(streams));
}

// Has `look` called with the call's prepared request, which is not answered, once its model is loaded.
void ChatService::look_at(std::shared_ptr<Exchange> exchange, ChatCall call, Look look) {
  check(call.model, call.ignored);
  auto scope = scope_of(std::move(exchange), 0);
  const std::string name = call.model;
  auto shared = std::make_shared<ChatCall>(std::move(call));
  with_model(scope, name, nullptr,
             [this, scope, shared, look = std::move(look)](const ModelUsePtr& model) {
               prepare(scope, model, std::move(*shared), false,
                       [scope, model, look](ChatCall& loaded, int) {
                         look(*scope, model->engine(), loaded.request);
                       });
             });
}

void ChatService::render(std::shared_ptr<Exchange> exchange, ChatCall call,
                         std::function<void(RenderedPrompt, const Engine&)> tell) {
  look_at(std::move(exchange), std::move(call),
          [tell = std::move(tell)](const RequestScope& scope, const Engine& engine,
                                   const ChatRequest& request) {
            RenderedPrompt prompt = engine.render(request);
            if (scope.wanted()) tell(std::move(prompt), engine);
          });
}

void ChatService::count_tokens(std::shared_ptr<Exchange> exchange, ChatCall call,
                               std::function<void(std::int64_t)> tell) {
  look_at(std::move(exchange), std::move(call),
          [tell = std::move(tell)](const RequestScope& scope, const Engine& engine,
                                   const ChatRequest& request) {
            const std::int64_t count = engine.count_tokens(request);
            if (scope.wanted()) tell(count);
          });
}

void ChatService::check(const std::string& model, const std::vector<std::string>& ignored) const {
  models_.find(model);
  if (!options_.strict_fields || ignored.empty()) return;
  const std::string name = excerpt(ignored.front());
  throw Error(
      Code::invalid_argument,
      "'" + name + "' is unknown to this server, which was started to refuse unknown fields", name);
}

void ChatService::post(std::shared_ptr<Exchange> exchange, const std::string& model,
                       std::function<void(const ModelUsePtr&)> work) {
  auto scope = scope_of(std::move(exchange), 0);
  with_model(scope, model, nullptr, [this, scope, work = std::move(work)](const ModelUsePtr& use) {
    post_turn(loaders_, scope, [work, use] { work(use); });
  });
}

// Does `work` when the request's grammars are compiled as well; nobody waits for them meanwhile. `work` holds the request.
template <class Request>
void ChatService::when_prepared(const std::shared_ptr<RequestScope>& scope,
                                const ModelUsePtr& model, Request& request, ThreadPool& threads,
                                std::function<void()> work) {
  request.client = scope->client();
  request.hooks.wanted = scope->asks_if_wanted();
  auto go_on = [scope, door = door_, &request, &threads,
                work](std::shared_ptr<const Grammars> grammars) {
    const std::lock_guard lock(door->mutex);
    if (!door->open) return;
    request.grammars = std::move(grammars);
    post_turn(threads, scope, work);
  };
  post_turn(loaders_, scope, [model, &request, work = std::move(work), go_on = std::move(go_on)] {
    model->engine().prepare(request, go_on);
  });
}

// Gets the media of a call that will be answered (or only looked at), then has `then` called with it.
void ChatService::prepare(std::shared_ptr<RequestScope> scope, ModelUsePtr model, ChatCall call,
                          bool answers, Prepared then) {
  auto shared = std::make_shared<ChatCall>(std::move(call));
  shared->request.cache_salt = cache_salt(scope->exchange(), shared->request.cache_salt);
  // Texts wait for no pictures that are cut up.
  ThreadPool& threads = shared->media.empty() ? loaders_ : media_threads_;
  const bool compiles = answers && wants_grammar(shared->request);
  const ModelInfo& info = model->engine().info();
  auto go_on = [this, scope, model, shared, compiles, &threads,
                then = std::move(then)](int audio_tracks) {
    auto work = [this, shared, then, audio_tracks] {
      if (options_.canonical_prompts)
        volatile_lines_ += remove_volatile_lines(shared->request.messages);
      then(*shared, audio_tracks);
    };
    if (!compiles) return post_turn(threads, scope, std::move(work));
    when_prepared(scope, model, shared->request, threads, std::move(work));
  };
  if (shared->media.empty()) return go_on(0);
  if (!info.takes_images)
    throw Error(Code::invalid_argument, "this model takes no pictures",
                shared->media.front().field);
  load_media(scope, shared, {fetcher_, decoded_, decoded_memory_, media_threads_}, options_.media,
             info.video_sampling, std::move(go_on));
}

DecodedStats ChatService::decoded_stats() const {
  const ByteBudget::Stats memory = decoded_memory_.stats();
  const media::DecodedCache::Stats kept = decoded_.stats();
  const media::MediaFetcher::Stats fetches = fetcher_.stats();
  DecodedStats stats;
  stats.bytes = memory.used;
  stats.limit_bytes = memory.limit;
  stats.waiting = memory.waiting;
  stats.kept_entries = kept.entries;
  stats.kept_bytes = kept.bytes;
  stats.fetches = fetches.running + fetches.waiting;
  stats.fetched_bytes = fetches.held_bytes;
  stats.fetched_limit_bytes = fetches.limit_bytes;
  return stats;
}

// A key's id has a fixed length, so no salt of one key gives another's.
std::string ChatService::cache_salt(const Exchange& exchange, const std::string& sent) const {
  return options_.cache_per_key ? exchange.caller().id + ":" + sent : sent;
}

ReplyFacts ChatService::begin_record(Exchange& exchange, const ModelUse& use,
                                     const std::string& model, bool streamed) {
  exchange.record().model = use.name();
  exchange.record().streamed = streamed;
  return {exchange.request().id, model.empty() ? use.name() : model, std::time(nullptr), 0,
          &use.engine()};
}

void ChatService::begin(const std::shared_ptr<RequestScope>& scope, const ModelUsePtr& model,
                        ChatCall& call, int audio_tracks, const MakeReply& make_reply,
                        Headers headers) {
  const std::shared_ptr<Exchange>& exchange = scope->shared_exchange();
  ReplyFacts facts = begin_record(*exchange, *model, call.model, call.stream);
  facts.audio_tracks = audio_tracks;
  if (call.truncate) truncate(model->engine(), call.request);
  call.request.hooks.wanted = [scope = scope.get()] { return scope->wanted(); };
  hand_over_time(*scope, call.request.stop);
  std::vector<std::string> ignored = std::move(call.ignored);
  const ToolFields tool_fields(call);
  call.request.hooks.on_ignored = [&](const std::string& part) {
    const std::string field = tool_fields.as_sent(part);
    if (std::find(ignored.begin(), ignored.end(), field) != ignored.end()) return;
    ignored.push_back(field);
    if (options_.strict_fields)
      throw Error(
          Code::invalid_argument,
          "'" + field +
              "' can't be kept to, and this server was started to refuse what it would ignore",
          field);
  };
  auto streams = ask(model->engine(), std::move(call.request), call.num_choices, tool_fields);
  report_ignored(ignored, facts.request_id, headers);
  ChatSession::Options options{call.stream, std::move(headers), options_.metrics, model};
  auto session =
      std::make_shared<ChatSession>(exchange, make_reply(facts), std::move(options), workers_);
  if (scope->answer_begins()) session->start(std::move(streams));
}

// So that the answer has room: as much as it may take, but not more than half; an eighth where it does not say.
void ChatService::truncate(const Engine& engine, ChatRequest& request) {
  const std::int64_t context = engine.info().max_context;
  const std::int64_t room =
      request.stop.max_tokens > 0 ? std::min(request.stop.max_tokens, context / 2) : context / 8;
  ChatRequest cut = request;
  drop_oldest(request.messages, context - std::max<std::int64_t>(room, 1),
              [&](const std::vector<Message>& messages) {
                cut.messages = messages;
                return engine.count_tokens(cut);
              });
}

bool refuse_compressed(Exchange& exchange) {
  const auto coding = exchange.request().headers.get("Content-Encoding");
  if (!coding || *coding == "identity") return false;
  exchange.respond(
      error_response(place_of(exchange), 415, "compressed requests are not understood", "body"));
  return true;
}

}  // namespace pippin::server
