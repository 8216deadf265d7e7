#include "server/api.h"

#include <utility>

#include "base/json.h"
#include "base/thread_pool.h"
#include "server/chat/model_state.h"
#include "server/http/errors.h"
#include "server/observe/metrics.h"
#include "server/page/page.h"
#include "server/schema/utf8.h"
#include "server/utilities/cache_reply.h"
#include "server/utilities/model_routes.h"

namespace pippin::server {

namespace {

std::unique_ptr<ModelPool> pool_of(Engine& engine, const ApiOptions& options) {
  ServedModel model;
  model.names = options.model_names;
  if (model.names.empty()) model.names.push_back(engine.info().name);
  model.aliases = options.model_aliases;
  model.sampling = options.sampling;
  return std::make_unique<ModelPool>(engine, std::move(model));
}

// Sums of what /health shows.
void add(EngineStats& all, const EngineStats& one) {
  for (const auto member :
       {&EngineStats::sequences_running, &EngineStats::sequences_waiting,
        &EngineStats::sequences_held, &EngineStats::pages_total, &EngineStats::pages_free,
        &EngineStats::pages_cached, &EngineStats::encoder_runs, &EngineStats::encoder_hits,
        &EngineStats::prompt_tokens, &EngineStats::cached_tokens, &EngineStats::generated_tokens,
        &EngineStats::preemptions, &EngineStats::steps})
    all.*member += one.*member;
  if (one.healthy || !all.healthy) return;
  all.healthy = false;
  all.trouble = one.trouble;
}

SamplingDefaults sampling_of(const ModelPool& models) {
  return SamplingDefaults(
      [&models](const std::string& name) { return models.find(name).sampling; });
}

}  // namespace

Api::Api(ModelPool& models, ApiOptions options, ThreadPool& workers, ThreadPool& loaders)
    : Api(nullptr, &models, std::move(options), workers, loaders) {}

Api::Api(std::unique_ptr<ModelPool> own, ModelPool* shared, ApiOptions options, ThreadPool& workers,
         ThreadPool& loaders)
    : own_models_(std::move(own)),
      models_(own_models_ ? *own_models_ : *shared),
      options_(std::move(options)),
      loaders_(loaders),
      service_(models_, options_, workers, loaders),
      openai_(service_, sampling_of(models_)),
      responses_(service_, sampling_of(models_), options_.responses),
      anthropic_(service_, sampling_of(models_)),
      ollama_(service_, sampling_of(models_)),
      utilities_(service_) {}

Api::Api(Engine& engine, const ApiOptions& options, ThreadPool& workers, ThreadPool& loaders)
    : Api(pool_of(engine, options), nullptr, options, workers, loaders) {}

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
EngineStats Api::stats(const ModelUse& model) const {
  EngineStats stats = model.engine().stats();
  stats.decoded = service_.decoded_stats();
  return stats;
}

void Api::show_health(Exchange& exchange) const {
  EngineStats all;  // what is told of it, over all models
  json::object states;
  for (const ModelStatus& model : models_.list())
    states[valid_utf8(model.model->names.front())] = name_of(model.state);
  for (const ModelUsePtr& model : models_.loaded()) add(all, model->engine().stats());
  const int status = all.healthy ? 200 : 503;
  // Whoever shows no key, where one is needed, learns no more than a load balancer has to know.
  if ((exchange.caller().id.empty() || !sees_all(exchange)) && !exchange.caller().admin)
    return exchange.respond(json_response(
        status, json::serialize(json::object{{"status", all.healthy ? "ok" : "unhealthy"}})));
  json::object body{
      {"status", all.healthy ? "ok" : "unhealthy"},
      {"model", valid_utf8(models_.find("").names.front())},
      {"models", std::move(states)},
      {"sequences",
       {{"running", all.sequences_running},
        {"waiting", all.sequences_waiting},
        {"held", all.sequences_held}}},
      {"pages",
       {{"total", all.pages_total}, {"free", all.pages_free}, {"cached", all.pages_cached}}},
      {"encoder", {{"runs", all.encoder_runs}, {"hits", all.encoder_hits}}},
      {"tokens",
       {{"prompt", all.prompt_tokens},
        {"cached", all.cached_tokens},
        {"generated", all.generated_tokens}}},
      {"preemptions", all.preemptions},
      {"steps", all.steps}};
  if (!all.healthy) body["reason"] = all.trouble;
  exchange.respond(json_response(status, json::serialize(body)));
}

// Where keys are apart, what all of them took would tell one of another's prompts.
bool Api::sees_all(const Exchange& exchange) const {
  return !options_.cache_per_key || exchange.caller().admin;
}

std::vector<ModelMetrics> Api::model_metrics() const {
  std::vector<ModelMetrics> list;
  for (const ModelStatus& model : models_.list())
    list.push_back(
        {model.model->names.front(), {}, false, model.loads, model.failures, model.waiting});
  for (const ModelUsePtr& model : models_.loaded())
    for (ModelMetrics& one : list) {
      if (one.name != model->name()) continue;
      one.stats = stats(*model);
      one.loaded = true;
    }
  return list;
}

void Api::show_metrics(Exchange& exchange) const {
  if (!sees_all(exchange)) return refuse_key(exchange, "what all keys' requests took is shown to");
  exchange.respond(
      {200,
       {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}},
       options_.metrics->text(model_metrics(),
                              options_.body_stats ? options_.body_stats() : BodyStats())});
}

// ---------------------------------------------------------------------------------------------------------------------
// Caches

// The first one that is loaded, where the query names none.
ModelUsePtr Api::named_in_query(const Exchange& exchange) const {
  const std::string name = model_in(exchange.request().query);
  const auto loaded = models_.loaded();
  const ServedModel& wanted = models_.find(name);
  for (const ModelUsePtr& model : loaded)
    if (&model->model() == &wanted) return model;
  if (name.empty() && !loaded.empty()) return loaded.front();
  throw Error(Code::unavailable, "the model '" + wanted.names.front() + "' is not loaded", "model");
}

void Api::show_cache(Exchange& exchange) const {
  if (!sees_all(exchange)) return refuse_key(exchange, "what all keys' requests took is shown to");
  exchange.respond(json_response(
      200, cache_report(stats(*named_in_query(exchange)), service_.volatile_lines_removed())));
}

// Waits for the engines, hence not on the workers, which running answers need.
void Api::clear_cache(std::shared_ptr<Exchange> exchange) {
  if (!exchange->caller().admin)
    return refuse_key(*exchange, "the caches are all keys', and emptied only by");
  loaders_.post([this, exchange = std::move(exchange)] {
    answering_errors(*exchange, [&] {
      service_.clear_decoded();  // before the engines, which count the memory that has come back
      ClearedCaches all;
      for (const ModelUsePtr& model : models_.loaded()) {
        const ClearedCaches cleared = model->engine().clear_caches();
        all.pages += cleared.pages;
        all.media += cleared.media;
        all.grammars += cleared.grammars;
        if (all.resident_before == 0) all.resident_before = cleared.resident_before;
        all.resident_after = cleared.resident_after;
      }
      exchange->respond(json_response(200, cleared_report(all)));
    });
  });
}

}  // namespace pippin::server
