#include "server/openai.h"

#include <ctime>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "base/thread_pool.h"
#include "server/cache_reply.h"
#include "server/chat_call.h"
#include "server/chat_reply.h"
#include "server/completion_reply.h"
#include "server/errors.h"
#include "server/metrics.h"
#include "server/utf8.h"

namespace pippin::server {
namespace {

constexpr std::string_view models_path = "/v1/models/";

std::string rfc3339(std::time_t seconds) {
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

// OpenAI's members, then vLLM's, then Anthropic's: each API's clients pass over the others'.
json::object model_object(const std::string& name, std::int64_t created, const ModelInfo& info) {
  return {{"id", valid_utf8(name)},
          {"object", "model"},
          {"created", created},
          {"owned_by", "pippin"},
          {"max_model_len", info.max_context},
          {"type", "model"},
          {"display_name", valid_utf8(name)},
          {"created_at", rfc3339(created)},
          {"lifecycle", "active"},
          {"max_input_tokens", info.max_context}};
}

}  // namespace

OpenAi::OpenAi(Backend& backend, OpenAiOptions options, ThreadPool& workers, ThreadPool& loaders)
    : backend_(backend),
      options_(std::move(options)),
      created_(std::time(nullptr)),
      loaders_(loaders),
      service_(backend, options_, workers, loaders),
      anthropic_(service_, options_.sampling),
      responses_(service_, options_.sampling, options_.responses),
      utilities_(backend, service_) {}

void OpenAi::add_routes(Router& router) {
  anthropic_.add_routes(router);
  responses_.add_routes(router);
  router.add("POST", "/v1/chat/completions", [this](auto exchange) { chat(std::move(exchange)); });
  router.add("POST", "/v1/completions", [this](auto exchange) { complete(std::move(exchange)); });
  router.add("GET", "/v1/models", [this](auto exchange) { list_models(*exchange); });
  router.add("GET", "/v1/models/*", [this](auto exchange) { show_model(*exchange); });
  router.add("DELETE", "/v1/cache", [this](auto exchange) { clear_cache(std::move(exchange)); });
  router.add(
      "GET", "/v1/cache", [this](auto exchange) { show_cache(*exchange); }, Where::io_thread);
  router.add("GET", "/health", [this](auto exchange) { show_health(*exchange); }, Where::io_thread);
  if (options_.metrics)
    router.add("GET", "/metrics", [this](auto exchange) { show_metrics(*exchange); });
  utilities_.add_routes(router);
}

// ---------------------------------------------------------------------------------------------------------------------
// Chat

void OpenAi::chat(std::shared_ptr<Exchange> exchange) {
  if (refuse_compressed(*exchange)) return;
  ChatCall call = parse_chat(exchange->request().body, options_.sampling);
  auto make_reply = [usage = call.include_usage, n = call.num_choices,
                     tokens = call.tokens](const ReplyFacts& facts) {
    return std::make_unique<ChatReply>(ChatReply::Options{"chatcmpl-" + facts.request_id,
                                                          facts.model, facts.created, usage,
                                                          facts.audio_tracks, n, tokens});
  };
  service_.answer(std::move(exchange), std::move(call), std::move(make_reply));
}

void OpenAi::complete(std::shared_ptr<Exchange> exchange) {
  if (refuse_compressed(*exchange)) return;
  CompletionCall call = parse_completion(exchange->request().body, options_.sampling);
  CompletionReply::Options reply;
  reply.include_usage = call.include_usage;
  reply.num_prompts = call.requests.size();
  reply.num_choices = static_cast<std::size_t>(call.num_choices);
  reply.tokens = call.tokens;
  reply.prompt_only = call.prompt_only;
  if (call.echo)
    for (const CompletionRequest& request : call.requests)
      reply.echoes.push_back(request.tokens.empty() ? request.text
                                                    : backend_.detokenize(request.tokens));
  auto make_reply = [reply = std::move(reply)](const ReplyFacts& facts) mutable {
    reply.id = "cmpl-" + facts.request_id;
    reply.model = facts.model;
    reply.created = facts.created;
    return std::make_unique<CompletionReply>(reply);
  };
  service_.complete(std::move(exchange), std::move(call), std::move(make_reply));
}

// ---------------------------------------------------------------------------------------------------------------------
// Models and health

void OpenAi::list_models(Exchange& exchange) const {
  json::array list;
  for (const std::string& name : service_.model_names())
    list.push_back(model_object(name, created_, backend_.info()));
  const json::object body{{"object", "list"},
                          {"data", std::move(list)},
                          {"has_more", false},
                          {"first_id", valid_utf8(service_.model_names().front())},
                          {"last_id", valid_utf8(service_.model_names().back())}};
  exchange.respond(json_response(200, json::serialize(body)));
}

void OpenAi::show_model(Exchange& exchange) const {
  const std::string name = exchange.request().path.substr(models_path.size());
  service_.check_model(name);
  exchange.respond(
      json_response(200, json::serialize(model_object(name, created_, backend_.info()))));
}

void OpenAi::show_health(Exchange& exchange) const {
  const EngineStats stats = backend_.stats();
  json::object body{
      {"status", stats.healthy ? "ok" : "unhealthy"},
      {"model", valid_utf8(service_.model_names().front())},
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
  if (!stats.healthy) body["reason"] = stats.trouble;
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
  exchange.respond(
      json_response(200, cache_report(backend_.stats(), service_.volatile_lines_removed())));
}

// Waits for the engine, hence not on the workers, which running answers need.
void OpenAi::clear_cache(std::shared_ptr<Exchange> exchange) {
  loaders_.post([this, exchange = std::move(exchange)] {
    answering_errors(*exchange, [&] {
      service_.clear_decoded();  // before the engine, which counts the memory that has come back
      exchange->respond(json_response(200, cleared_report(backend_.clear_caches())));
    });
  });
}

}  // namespace pippin::server
