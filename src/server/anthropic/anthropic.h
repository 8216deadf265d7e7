// Anthropic's Messages API: which requests there are and what answers them.
#pragma once

#include <memory>
#include <utility>

#include "pippin/request.h"
#include "server/chat/service.h"
#include "server/http/exchange.h"
#include "server/http/router.h"
#include "server/schema/sampling_defaults.h"

namespace pippin::server {

/// POST /v1/messages and /v1/messages/count_tokens. anthropic-version and anthropic-beta may be sent and decide nothing.
/// Thread-safe. The service must outlive it.
class Anthropic {
 public:
  Anthropic(ChatService& service, SamplingDefaults sampling)
      : service_(service), sampling_(std::move(sampling)) {}

  void add_routes(Router& router);

 private:
  void answer(std::shared_ptr<Exchange> exchange);
  void count_tokens(std::shared_ptr<Exchange> exchange);

  ChatService& service_;
  const SamplingDefaults sampling_;
};

}  // namespace pippin::server
