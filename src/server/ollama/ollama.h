// Ollama's API, for clients that know no other: which requests there are and what answers them.
#pragma once

#include <cstdint>
#include <memory>

#include "pippin/engine.h"
#include "server/chat/service.h"
#include "server/http/exchange.h"
#include "server/http/router.h"

namespace pippin::server {

/// POST /api/chat, /api/generate and /api/show, GET /api/tags, /api/ps and /api/version. Answers are told as lines of JSON. The model that is
/// served is loaded all the time, whatever `keep_alive` says. Thread-safe. Engine and service must outlive it.
class Ollama {
 public:
  Ollama(Engine& engine, ChatService& service, const SamplingOptions& sampling);

  void add_routes(Router& router);

 private:
  void chat(std::shared_ptr<Exchange> exchange);
  void generate(std::shared_ptr<Exchange> exchange);
  void list(Exchange& exchange) const;
  void show(Exchange& exchange) const;
  void list_running(Exchange& exchange) const;

  Engine& engine_;
  ChatService& service_;
  const SamplingOptions sampling_;
  const std::int64_t created_;  ///< in seconds since 1970
};

}  // namespace pippin::server
