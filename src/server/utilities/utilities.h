// What clients ask beside answers: tokens of texts, prompts of chats, and what this server can do.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pippin/engine.h"
#include "server/chat/service.h"
#include "server/http/exchange.h"
#include "server/http/router.h"

namespace pippin::server {

/// POST /tokenize, /detokenize (both as vLLM has them, and with llama.cpp's "content"), /apply-template; GET /v1/capabilities,
/// /version, /openapi.json; and what probes.h adds. Thread-safe. The service must outlive it.
class Utilities {
 public:
  explicit Utilities(ChatService& service) : service_(service) {}

  /// After all others': capabilities name the routes that are there by then.
  void add_routes(Router& router);

 private:
  void tokenize(std::shared_ptr<Exchange> exchange) const;
  void detokenize(std::shared_ptr<Exchange> exchange) const;
  void apply_template(std::shared_ptr<Exchange> exchange) const;
  std::string capabilities(const Router& router, const std::string& model) const;

  ChatService& service_;
};

}  // namespace pippin::server
