#include "server/chat_service.h"

#include <algorithm>
#include <ctime>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "base/thread_pool.h"
#include "pippin/error.h"
#include "server/canonical.h"
#include "server/chat_session.h"
#include "server/errors.h"
#include "server/metrics.h"
#include "server/truncation.h"
#include "server/utf8.h"

namespace pippin::server {
namespace {

// Of the X-Pippin-Ignored header: clients cap the size of answers' headers.
constexpr std::size_t max_ignored_bytes = 1000;

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

void report_ignored(const std::vector<std::string>& ignored, const std::string& request_id,
                    Headers& headers) {
  if (ignored.empty()) return;
  const std::string list = join_ignored(ignored);
  spdlog::warn("[server] {}: unknown fields are ignored: {}", request_id, list);
  headers.add("X-Pippin-Ignored", list);
}

ChatService::ChatService(Backend& backend, ChatServiceOptions options, ThreadPool& workers,
                         ThreadPool& loaders)
    : backend_(backend),
      options_(std::move(options)),
      names_(options_.model_names.empty() ? std::vector<std::string>{backend.info().name}
                                          : options_.model_names),
      fetcher_(options_.fetch),
      decoded_(options_.decoded_cache_bytes),
      workers_(workers),
      loaders_(loaders) {}

void ChatService::answer(std::shared_ptr<Exchange> exchange, ChatCall call, MakeReply make_reply,
                         Headers headers) {
  check(call.model, call.ignored);
  post(exchange, [this, exchange, call = std::move(call), make_reply = std::move(make_reply),
                  headers = std::move(headers)]() mutable {
    begin(exchange, std::move(call), make_reply, std::move(headers));
  });
}

void ChatService::complete(std::shared_ptr<Exchange> exchange, CompletionCall call,
                           MakeReply make_reply) {
  check(call.model, call.ignored);
  post(exchange, [this, exchange, call = std::move(call), make_reply = std::move(make_reply)] {
    const ReplyFacts facts = begin_record(*exchange, call.model, call.stream);
    Headers headers;
    report_ignored(call.ignored, facts.request_id, headers);
    ChatSession::Options options{call.stream, std::move(headers), options_.metrics};
    auto session =
        std::make_shared<ChatSession>(exchange, make_reply(facts), std::move(options), workers_);
    EventSources sources;
    for (CompletionRequest request : call.requests) {
      request.cache_salt = cache_salt(*exchange, request.cache_salt);
      for (auto& source : backend_.complete(std::move(request), call.num_choices))
        sources.push_back(std::move(source));
    }
    session->start(std::move(sources));
  });
}

void ChatService::render(std::shared_ptr<Exchange> exchange, ChatCall call,
                         std::function<void(RenderedPrompt)> tell) {
  check(call.model, call.ignored);
  post(exchange, [this, exchange, call = std::move(call), tell = std::move(tell)]() mutable {
    load(*exchange, call);
    tell(backend_.render(call.request));
  });
}

void ChatService::count_tokens(std::shared_ptr<Exchange> exchange, ChatCall call,
                               std::function<void(std::int64_t)> tell) {
  check(call.model, call.ignored);
  post(exchange, [this, exchange, call = std::move(call), tell = std::move(tell)]() mutable {
    load(*exchange, call);
    tell(backend_.count_tokens(call.request));
  });
}

void ChatService::check(const std::string& model, const std::vector<std::string>& ignored) const {
  check_model(model);
  if (!options_.strict_fields || ignored.empty()) return;
  const std::string name = excerpt(ignored.front());
  throw Error(
      Code::invalid_argument,
      "'" + name + "' is unknown to this server, which was started to refuse unknown fields", name);
}

void ChatService::check_model(const std::string& name) const {
  const auto has = [&](const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (name.empty() || has(names_) || has(options_.model_aliases)) return;
  throw Error(
      Code::not_found,
      "the model '" + excerpt(name) + "' does not exist; this server has '" + names_.front() + "'",
      "model");
}

void ChatService::post(std::shared_ptr<Exchange> exchange, std::function<void()> work) {
  loaders_.post([exchange = std::move(exchange), work = std::move(work)] {
    answering_errors(*exchange, work);
  });
}

// A key's id has a fixed length, so no salt of one key gives another's.
std::string ChatService::cache_salt(const Exchange& exchange, const std::string& sent) const {
  return options_.cache_per_key ? exchange.caller().id + ":" + sent : sent;
}

// Returns how many audio tracks are not listened to.
int ChatService::load(const Exchange& exchange, ChatCall& call) {
  const int audio_tracks =
      load_media(call, {fetcher_, decoded_}, options_.media, backend_.info().video_sampling,
                 [&] { return exchange.disconnected(); });
  if (options_.canonical_prompts) volatile_lines_ += remove_volatile_lines(call.request.messages);
  return audio_tracks;
}

ReplyFacts ChatService::begin_record(Exchange& exchange, const std::string& model,
                                     bool streamed) const {
  exchange.record().model = names_.front();
  exchange.record().streamed = streamed;
  return {exchange.request().id, model.empty() ? names_.front() : model, std::time(nullptr), 0};
}

void ChatService::begin(const std::shared_ptr<Exchange>& exchange, ChatCall call,
                        const MakeReply& make_reply, Headers headers) {
  ReplyFacts facts = begin_record(*exchange, call.model, call.stream);
  facts.audio_tracks = load(*exchange, call);
  call.request.cache_salt = cache_salt(*exchange, call.request.cache_salt);
  if (call.truncate) truncate(call.request);
  call.request.hooks.wanted = [exchange = exchange.get()] { return !exchange->disconnected(); };
  std::vector<std::string> ignored = std::move(call.ignored);
  call.request.hooks.on_ignored = [this, &ignored](const std::string& field) {
    if (std::find(ignored.begin(), ignored.end(), field) != ignored.end()) return;
    ignored.push_back(field);
    if (options_.strict_fields)
      throw Error(
          Code::invalid_argument,
          "'" + field +
              "' can't be kept to, and this server was started to refuse what it would ignore",
          field);
  };
  auto sources = backend_.chat(std::move(call.request), call.num_choices);
  report_ignored(ignored, facts.request_id, headers);
  ChatSession::Options options{call.stream, std::move(headers), options_.metrics};
  auto session =
      std::make_shared<ChatSession>(exchange, make_reply(facts), std::move(options), workers_);
  session->start(std::move(sources));
}

// So that the answer has room: as much as it may take, but not more than half; an eighth where it does not say.
void ChatService::truncate(ChatRequest& request) const {
  const std::int64_t context = backend_.info().max_context;
  const std::int64_t room =
      request.stop.max_tokens > 0 ? std::min(request.stop.max_tokens, context / 2) : context / 8;
  ChatRequest cut = request;
  drop_oldest(request.messages, context - std::max<std::int64_t>(room, 1),
              [&](const std::vector<Message>& messages) {
                cut.messages = messages;
                return backend_.count_tokens(cut);
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
