// OpenAI's chat and text completions, and the models that they may name.
#pragma once

#include <cstdint>
#include <memory>

#include "server/backend.h"
#include "server/chat_service.h"
#include "server/http/exchange.h"
#include "server/http/router.h"

namespace pippin::server {

/// POST /v1/chat/completions, /v1/completions; GET /v1/models, /v1/models/{id}. Thread-safe; the backend and the service must
/// outlive it, and it the server whose routes it gave.
class OpenAi {
 public:
  /// `sampling` is how answers are sampled where the request says nothing.
  OpenAi(Backend& backend, ChatService& service, const SamplingOptions& sampling);

  void add_routes(Router& router);

 private:
  void chat(std::shared_ptr<Exchange> exchange);
  void complete(std::shared_ptr<Exchange> exchange);
  void list_models(Exchange& exchange) const;
  void show_model(Exchange& exchange) const;

  Backend& backend_;
  ChatService& service_;
  const SamplingOptions sampling_;
  const std::int64_t created_;  // when the model was loaded, in seconds since 1970
};

}  // namespace pippin::server
