// The OpenAI-compatible API: which requests there are and what answers them.
#pragma once

#include <cstdint>
#include <memory>

#include "server/anthropic.h"
#include "server/backend.h"
#include "server/chat_service.h"
#include "server/exchange.h"
#include "server/responses.h"
#include "server/router.h"
#include "server/utilities.h"

namespace pippin {
class ThreadPool;
}

namespace pippin::server {

/// Its metrics, where there are any, are shown at /metrics.
struct OpenAiOptions : ChatServiceOptions {
  /// How answers are sampled where the request says nothing.
  SamplingOptions sampling;
  /// Where answers of the Responses API are kept for later requests.
  ResponseStore::Options responses;
};

/// POST /v1/chat/completions, /v1/completions, and what Utilities has; GET /v1/models, /v1/models/{id}, /health, /metrics,
/// GET and DELETE /v1/cache. Holds no state of a request: each lives in a
/// ChatSession. Thread-safe. Backend and pools must outlive it, and it the server whose routes it gave.
class OpenAi {
 public:
  /// Requests are parsed on `workers`; see ChatService for the rest.
  OpenAi(Backend& backend, OpenAiOptions options, ThreadPool& workers, ThreadPool& loaders);

  void add_routes(Router& router);

 private:
  void chat(std::shared_ptr<Exchange> exchange);
  void complete(std::shared_ptr<Exchange> exchange);
  void list_models(Exchange& exchange) const;
  void show_model(Exchange& exchange) const;
  void show_health(Exchange& exchange) const;
  void show_metrics(Exchange& exchange) const;
  void show_cache(Exchange& exchange) const;
  void clear_cache(std::shared_ptr<Exchange> exchange);

  Backend& backend_;
  const OpenAiOptions options_;
  const std::int64_t created_;  // when the model was loaded, in seconds since 1970
  ThreadPool& loaders_;
  ChatService service_;
  Anthropic anthropic_;
  Responses responses_;
  Utilities utilities_;
};

}  // namespace pippin::server
