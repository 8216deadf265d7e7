// All that the server answers: OpenAI's, Anthropic's and Ollama's APIs, and what is asked about the server itself.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "pippin/engine.h"
#include "server/anthropic/anthropic.h"
#include "server/chat/service.h"
#include "server/http/exchange.h"
#include "server/http/router.h"
#include "server/models/pool.h"
#include "server/observe/body_stats.h"
#include "server/observe/metrics.h"
#include "server/ollama/ollama.h"
#include "server/openai/openai.h"
#include "server/responses/responses.h"
#include "server/utilities/utilities.h"

namespace pippin {
class ThreadPool;
}

namespace pippin::server {

/// Its metrics, where there are any, are shown at /metrics.
struct ApiOptions : ChatServiceOptions {
  /// Names under which a single model is served; the first is the one that answers carry. Empty: the model's own.
  std::vector<std::string> model_names;
  /// Further names that requests may use, which are not listed.
  std::vector<std::string> model_aliases;
  /// How its answers are sampled where the request says nothing.
  SamplingOptions sampling;
  /// Where answers of the Responses API are kept for later requests.
  ResponseStore::Options responses;
  /// The HTTP server's bodies, for the metrics; empty: they show none.
  std::function<BodyStats()> body_stats;
  /// Whether there is a chat page at /.
  bool page = true;
};

/// What OpenAi, Responses, Anthropic, Ollama and Utilities have, and GET /health, /metrics, GET and DELETE /v1/cache, and the chat page. Holds no state of
/// a request: each lives in a ChatSession. Thread-safe. Models and threads must outlive it, and it the server whose routes it gave.
class Api {
 public:
  /// Requests are parsed on `workers`; see ChatService for the rest.
  Api(ModelPool& models, ApiOptions options, ThreadPool& workers, ThreadPool& loaders);
  /// One model, which is loaded all the time.
  Api(Engine& engine, const ApiOptions& options, ThreadPool& workers, ThreadPool& loaders);

  void add_routes(Router& router);

 private:
  /// Over models of its own, or over those that others own.
  Api(std::unique_ptr<ModelPool> own, ModelPool* shared, ApiOptions options, ThreadPool& workers,
      ThreadPool& loaders);

  EngineStats stats(const ModelUse& model) const;
  std::vector<ModelMetrics> model_metrics() const;
  ModelUsePtr named_in_query(const Exchange& exchange) const;
  bool sees_all(const Exchange& exchange) const;
  static void refuse_key(Exchange& exchange, const std::string& what);
  void show_health(Exchange& exchange) const;
  void show_metrics(Exchange& exchange) const;
  void show_cache(Exchange& exchange) const;
  void clear_cache(std::shared_ptr<Exchange> exchange);

  const std::unique_ptr<ModelPool> own_models_;  ///< of a single model
  ModelPool& models_;
  const ApiOptions options_;
  ThreadPool& loaders_;
  ChatService service_;
  OpenAi openai_;
  Responses responses_;
  Anthropic anthropic_;
  Ollama ollama_;
  Utilities utilities_;
};

}  // namespace pippin::server
