// All that the server answers: OpenAI's, Anthropic's and Ollama's APIs, and what is asked about the server itself.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "pippin/engine.h"
#include "server/anthropic/anthropic.h"
#include "server/chat/service.h"
#include "server/http/exchange.h"
#include "server/http/router.h"
#include "server/observe/body_stats.h"
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
  /// How answers are sampled where the request says nothing.
  SamplingOptions sampling;
  /// Where answers of the Responses API are kept for later requests.
  ResponseStore::Options responses;
  /// The HTTP server's bodies, for the metrics; empty: they show none.
  std::function<BodyStats()> body_stats;
  /// Whether there is a chat page at /.
  bool page = true;
};

/// What OpenAi, Responses, Anthropic, Ollama and Utilities have, and GET /health, /metrics, GET and DELETE /v1/cache, and the chat page. Holds no state of
/// a request: each lives in a ChatSession. Thread-safe. Engine and pools must outlive it, and it the server whose routes it gave.
class Api {
 public:
  /// Requests are parsed on `workers`; see ChatService for the rest.
  Api(Engine& engine, ApiOptions options, ThreadPool& workers, ThreadPool& loaders);

  void add_routes(Router& router);

 private:
  EngineStats stats() const;
  bool sees_all(const Exchange& exchange) const;
  static void refuse_key(Exchange& exchange, const std::string& what);
  void show_health(Exchange& exchange) const;
  void show_metrics(Exchange& exchange) const;
  void show_cache(Exchange& exchange) const;
  void clear_cache(std::shared_ptr<Exchange> exchange);

  Engine& engine_;
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
