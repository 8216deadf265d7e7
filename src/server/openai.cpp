#include "server/openai.h"

#include <algorithm>
#include <ctime>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "base/log.h"
#include "base/thread_pool.h"
#include "pippin/error.h"
#include "server/cache_reply.h"
#include "server/canonical.h"
#include "server/chat_call.h"
#include "server/chat_reply.h"
#include "server/chat_session.h"
#include "server/errors.h"
#include "server/metrics.h"
#include "server/utf8.h"

namespace pippin::server {
namespace {

constexpr std::string_view models_path = "/v1/models/";
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

json::object model_object(const std::string& name, std::int64_t created, const ModelInfo& info) {
  return {{"id", valid_utf8(name)},
          {"object", "model"},
          {"created", created},
          {"owned_by", "pippin"},
          {"max_model_len", info.max_context}};
}

}  // namespace

OpenAi::OpenAi(Backend& backend, OpenAiOptions options, ThreadPool& workers, ThreadPool& loaders)
    : backend_(backend),
      options_(std::move(options)),
      names_(options_.model_names.empty() ? std::vector<std::string>{backend.info().name}
                                          : options_.model_names),
      fetcher_(options_.fetch),
      decoded_(options_.decoded_cache_bytes),
      created_(std::time(nullptr)),
      workers_(workers),
      loaders_(loaders) {}

void OpenAi::add_routes(Router& router) {
  router.add("POST", "/v1/chat/completions", [this](auto exchange) { chat(std::move(exchange)); });
  router.add("GET", "/v1/models", [this](auto exchange) { list_models(*exchange); });
  router.add("GET", "/v1/models/*", [this](auto exchange) { show_model(*exchange); });
  router.add("DELETE", "/v1/cache", [this](auto exchange) { clear_cache(std::move(exchange)); });
  router.add(
      "GET", "/v1/cache", [this](auto exchange) { show_cache(*exchange); }, Where::io_thread);
  router.add("GET", "/health", [this](auto exchange) { show_health(*exchange); }, Where::io_thread);
  if (options_.metrics)
    router.add("GET", "/metrics", [this](auto exchange) { show_metrics(*exchange); });
}

// ---------------------------------------------------------------------------------------------------------------------
// Chat

void OpenAi::chat(std::shared_ptr<Exchange> exchange) {
  const auto coding = exchange->request().headers.get("Content-Encoding");
  if (coding && *coding != "identity")
    return exchange->respond(error_response(415, "compressed requests are not understood", "body"));
  ChatCall call = parse_chat(exchange->request().body, options_.sampling);
  check_model(call.model);
  if (options_.strict_fields && !call.ignored.empty()) {
    const std::string name = excerpt(call.ignored.front());
    throw Error(
        Code::invalid_argument,
        "'" + name + "' is unknown to this server, which was started to refuse unknown fields",
        name);
  }
  loaders_.post([this, exchange = std::move(exchange), call = std::move(call)]() mutable {
    answering_errors(*exchange, [&] { begin(exchange, std::move(call)); });
  });
}

void OpenAi::begin(const std::shared_ptr<Exchange>& exchange, ChatCall call) {
  exchange->record().model = names_.front();
  exchange->record().streamed = call.stream;
  const int audio_tracks =
      load_media(call, {fetcher_, decoded_}, options_.media, backend_.info().video_sampling,
                 [&] { return exchange->disconnected(); });
  if (options_.canonical_prompts) volatile_lines_ += remove_volatile_lines(call.request.messages);
  const std::string& id = exchange->request().id;
  ChatReply reply("chatcmpl-" + id, call.model.empty() ? names_.front() : call.model,
                  std::time(nullptr), call.include_usage, audio_tracks);
  ChatSession::Options options{call.stream, call.include_usage, report_ignored(call, id),
                               options_.metrics};
  auto session =
      std::make_shared<ChatSession>(exchange, std::move(reply), std::move(options), workers_);
  session->start(backend_.chat(std::move(call.request)));
}

Headers OpenAi::report_ignored(const ChatCall& call, const std::string& request_id) const {
  if (call.ignored.empty()) return {};
  const std::string list = join_ignored(call.ignored);
  spdlog::warn("[chat] {}: unknown fields are ignored: {}", request_id, list);
  return {{"X-Pippin-Ignored", list}};
}

// ---------------------------------------------------------------------------------------------------------------------
// Models and health

void OpenAi::check_model(const std::string& name) const {
  const auto has = [&](const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (name.empty() || has(names_) || has(options_.model_aliases)) return;
  throw Error(
      Code::not_found,
      "the model '" + excerpt(name) + "' does not exist; this server has '" + names_.front() + "'",
      "model");
}

void OpenAi::list_models(Exchange& exchange) const {
  json::array list;
  for (const std::string& name : names_)
    list.push_back(model_object(name, created_, backend_.info()));
  exchange.respond(json_response(
      200, json::serialize(json::object{{"object", "list"}, {"data", std::move(list)}})));
}

void OpenAi::show_model(Exchange& exchange) const {
  const std::string name = exchange.request().path.substr(models_path.size());
  check_model(name);
  exchange.respond(
      json_response(200, json::serialize(model_object(name, created_, backend_.info()))));
}

void OpenAi::show_health(Exchange& exchange) const {
  const EngineStats stats = backend_.stats();
  const json::object body{
      {"status", stats.healthy ? "ok" : "unhealthy"},
      {"model", valid_utf8(names_.front())},
      {"sequences",
       {{"running", stats.sequences_running},
        {"waiting", stats.sequences_waiting},
        {"held", stats.sequences_held}}},
      {"pages",
       {{"total", stats.pages_total}, {"free", stats.pages_free}, {"cached", stats.pages_cached}}},
      {"encoder", {{"runs", stats.encoder_runs}, {"hits", stats.encoder_hits}}},
      {"tokens",
       {{"prompt", stats.prompt_tokens},
        {"cached", stats.cached_tokens},
        {"generated", stats.generated_tokens}}},
      {"preemptions", stats.preemptions},
      {"steps", stats.steps}};
  exchange.respond(json_response(stats.healthy ? 200 : 503, json::serialize(body)));
}

void OpenAi::show_metrics(Exchange& exchange) const {
  exchange.respond({200,
                    {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}},
                    options_.metrics->text(backend_.stats())});
}

// ---------------------------------------------------------------------------------------------------------------------
// Caches

void OpenAi::show_cache(Exchange& exchange) const {
  exchange.respond(json_response(200, cache_report(backend_.stats(), volatile_lines_)));
}

// Waits for the engine, hence not on the workers, which running answers need.
void OpenAi::clear_cache(std::shared_ptr<Exchange> exchange) {
  loaders_.post([this, exchange = std::move(exchange)] {
    answering_errors(*exchange, [&] {
      decoded_.clear();  // before the engine, which counts the memory that has come back
      exchange->respond(json_response(200, cleared_report(backend_.clear_caches())));
    });
  });
}

}  // namespace pippin::server
