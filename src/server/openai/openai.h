// OpenAI's chat and text completions, and the models that they may name.
#pragma once

#include <cstdint>
#include <memory>

#include "server/chat/service.h"
#include "server/http/exchange.h"
#include "server/http/router.h"
#include "server/schema/sampling_defaults.h"

namespace pippin::server {

/// POST /v1/chat/completions, /v1/completions; GET /v1/models, /v1/models/{id}. Thread-safe; the service must
/// outlive it, and it the server whose routes it gave.
class OpenAi {
 public:
  /// `sampling` is how answers are sampled where the request says nothing.
  OpenAi(ChatService& service, SamplingDefaults sampling);

  void add_routes(Router& router);

 private:
  void chat(std::shared_ptr<Exchange> exchange);
  void complete(std::shared_ptr<Exchange> exchange);
  void list_models(Exchange& exchange) const;
  void show_model(Exchange& exchange) const;

  ChatService& service_;
  const SamplingDefaults sampling_;
  const std::int64_t created_;  // when the model was loaded, in seconds since 1970
};

}  // namespace pippin::server
