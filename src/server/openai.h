// The OpenAI-compatible API: which requests there are and what answers them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "media/fetch.h"
#include "server/backend.h"
#include "server/chat_media.h"
#include "server/exchange.h"
#include "server/router.h"

namespace pippin {
class ThreadPool;
}

namespace pippin::server {

class Metrics;

struct OpenAiOptions {
  /// Names under which the model is served; the first is the one that answers carry. Empty: the model's own.
  std::vector<std::string> model_names;
  /// Further names that requests may use, which are not listed.
  std::vector<std::string> model_aliases;
  /// How answers are sampled where the request says nothing.
  SamplingOptions sampling;
  /// Take lines that differ from request to request and mean nothing to a model out of system prompts (server/canonical).
  bool canonical_prompts = true;
  /// Refuse requests with unknown fields instead of listing these in X-Pippin-Ignored.
  bool strict_fields = false;
  ChatMediaLimits media;
  /// Pixels of decoded pictures and clips that are kept for the next turn.
  std::int64_t decoded_cache_bytes = std::int64_t{256} << 20;
  media::FetchOptions fetch;
  /// Told of answers as they are generated, and shown at /metrics; null for none. Must outlive the OpenAi.
  Metrics* metrics = nullptr;
};

/// POST /v1/chat/completions, GET /v1/models, /v1/models/{id}, /health, /metrics,
/// GET and DELETE /v1/cache. Holds no state of a request: each lives in a
/// ChatSession. Thread-safe. Backend and pools must outlive it, and it the server whose routes it gave.
class OpenAi {
 public:
  /// Requests are parsed and answers formatted on `workers`; `loaders` do what may take long or wait for the network:
  /// fetching and decoding pictures and videos, rendering and tokenizing. Apart, so that slow ones hold up no running answer.
  OpenAi(Backend& backend, OpenAiOptions options, ThreadPool& workers, ThreadPool& loaders);

  void add_routes(Router& router);

 private:
  void chat(std::shared_ptr<Exchange> exchange);
  void begin(const std::shared_ptr<Exchange>& exchange, ChatCall call);
  void list_models(Exchange& exchange) const;
  void show_model(Exchange& exchange) const;
  void show_health(Exchange& exchange) const;
  void show_metrics(Exchange& exchange) const;
  void show_cache(Exchange& exchange) const;
  void clear_cache(std::shared_ptr<Exchange> exchange);
  void check_model(const std::string& name) const;
  Headers report_ignored(const ChatCall& call, const std::string& request_id) const;

  Backend& backend_;
  const OpenAiOptions options_;
  const std::vector<std::string> names_;
  const media::MediaFetcher fetcher_;
  media::DecodedCache decoded_;
  const std::int64_t created_;  // when the model was loaded, in seconds since 1970
  ThreadPool& workers_;
  ThreadPool& loaders_;
  std::atomic<std::int64_t> volatile_lines_ = 0;  // removed from prompts
};

}  // namespace pippin::server
