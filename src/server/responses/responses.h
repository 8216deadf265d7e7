// OpenAI's Responses API: which requests there are and what answers them.
#pragma once

#include <memory>
#include <utility>

#include "pippin/request.h"
#include "server/chat/service.h"
#include "server/http/exchange.h"
#include "server/http/router.h"
#include "server/responses/store.h"
#include "server/schema/sampling_defaults.h"

namespace pippin::server {

/// POST /v1/responses; GET and DELETE /v1/responses/{id}; GET /v1/responses/{id}/input_items. Thread-safe. The service must
/// outlive it, and it the exchanges.
class Responses {
 public:
  Responses(ChatService& service, SamplingDefaults sampling, const ResponseStore::Options& store)
      : service_(service), sampling_(std::move(sampling)), store_(store) {}

  void add_routes(Router& router);

 private:
  void answer(std::shared_ptr<Exchange> exchange);
  void show(Exchange& exchange);
  void show_input_items(Exchange& exchange, const std::string& id);
  void erase(Exchange& exchange);
  /// A response of who asks. Throws Error(not_found) naming `field`.
  StoredResponsePtr find(const Exchange& exchange, const std::string& id, const std::string& field);

  ChatService& service_;
  const SamplingDefaults sampling_;
  ResponseStore store_;
};

}  // namespace pippin::server
