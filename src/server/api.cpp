#include "server/api.h"

#include <utility>

#include "base/json.h"
#include "base/thread_pool.h"
#include "server/http/errors.h"
#include "server/observe/metrics.h"
#include "server/page/page.h"
#include "server/schema/utf8.h"
#include "server/utilities/cache_reply.h"

namespace pippin::server {

Api::Api(Engine& engine, ApiOptions options, ThreadPool& workers, ThreadPool& loaders)
    : engine_(engine),
      options_(std::move(options)),
      loaders_(loaders),
      service_(engine, options_, workers, loaders),
      openai_(engine, service_, options_.sampling),
      responses_(service_, options_.sampling, options_.responses),
      anthropic_(service_, options_.sampling),
      ollama_(engine, service_, options_.sampling),
      utilities_(engine, service_) {}

void Api::add_routes(Router& router) {
  openai_.add_routes(router);
  responses_.add_routes(router);
  anthropic_.add_routes(router);
  ollama_.add_routes(router);
  if (options_.page) add_page_routes(router);
  utilities_.add_routes(router);
  router.add("DELETE", "/v1/cache", {.summary = "Empty the caches"},
             [this](auto exchange) { clear_cache(std::move(exchange)); });
  router.add(
      "GET", "/v1/cache", {.summary = "What the caches hold"},
      [this](auto exchange) { show_cache(*exchange); }, Where::io_thread);
  router.add(
      "GET", "/health",
      {.summary = "Whether the engine runs",
       .answer = R"({"type": "object", "required": ["status"]})"},
      [this](auto exchange) { show_health(*exchange); }, Where::io_thread);
  if (options_.metrics)
    router.add("GET", "/metrics", {.summary = "Metrics in Prometheus' text format", .answer = ""},
               [this](auto exchange) { show_metrics(*exchange); });
}

void Api::refuse_key(Exchange& exchange, const std::string& what) {
  exchange.respond(error_response(place_of(exchange), 403, what + " a key of --admin-key", "",
                                  "admin_key_needed"));
}

// The engine's, and the server's own.
EngineStats Api::stats() const {
  EngineStats stats = engine_.stats();
  stats.decoded = service_.decoded_stats();
  return stats;
}

void Api::show_health(Exchange& exchange) const {
  const EngineStats stats = engine_.stats();
  const int status = stats.healthy ? 200 : 503;
  // Whoever shows no key, where one is needed, learns no more than a load balancer has to know.
  if ((exchange.caller().id.empty() || !sees_all(exchange)) && !exchange.caller().admin)
    return exchange.respond(json_response(
        status, json::serialize(json::object{{"status", stats.healthy ? "ok" : "unhealthy"}})));
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
  exchange.respond(json_response(status, json::serialize(body)));
}

// Where keys are apart, what all of them took would tell one of another's prompts.
bool Api::sees_all(const Exchange& exchange) const {
  return !options_.cache_per_key || exchange.caller().admin;
}

void Api::show_metrics(Exchange& exchange) const {
  if (!sees_all(exchange)) return refuse_key(exchange, "what all keys' requests took is shown to");
  exchange.respond(
      {200,
       {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}},
       options_.metrics->text(stats(), options_.body_stats ? options_.body_stats() : BodyStats())});
}

// ---------------------------------------------------------------------------------------------------------------------
// Caches

void Api::show_cache(Exchange& exchange) const {
  if (!sees_all(exchange)) return refuse_key(exchange, "what all keys' requests took is shown to");
  exchange.respond(json_response(200, cache_report(stats(), service_.volatile_lines_removed())));
}

// Waits for the engine, hence not on the workers, which running answers need.
void Api::clear_cache(std::shared_ptr<Exchange> exchange) {
  if (!exchange->caller().admin)
    return refuse_key(*exchange, "the caches are all keys', and emptied only by");
  loaders_.post([this, exchange = std::move(exchange)] {
    answering_errors(*exchange, [&] {
      service_.clear_decoded();  // before the engine, which counts the memory that has come back
      exchange->respond(json_response(200, cleared_report(engine_.clear_caches())));
    });
  });
}

}  // namespace pippin::server
