// Ollama's API, for clients that know no other: which requests there are and what answers them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "server/chat/service.h"
#include "server/http/exchange.h"
#include "server/http/router.h"
#include "server/ollama/reply.h"
#include "server/schema/sampling_defaults.h"

namespace pippin::server {

/// POST /api/chat, /api/generate and /api/show, GET /api/tags, /api/ps and /api/version. Answers are told as lines of JSON. `keep_alive` counts
/// where the pool takes it. Thread-safe. The service must outlive it.
class Ollama {
 public:
  Ollama(ChatService& service, SamplingDefaults sampling);

  void add_routes(Router& router);

 private:
  void chat(std::shared_ptr<Exchange> exchange);
  void generate(std::shared_ptr<Exchange> exchange);
  void list(Exchange& exchange) const;
  void load(std::shared_ptr<Exchange> exchange, OllamaReply::Kind kind, const ChatCall& call);
  void show(std::shared_ptr<Exchange> exchange);
  std::string shown(const ModelInfo& info) const;
  void list_running(Exchange& exchange) const;

  ChatService& service_;
  const SamplingDefaults sampling_;
  const std::int64_t created_;  ///< in seconds since 1970
};

}  // namespace pippin::server
