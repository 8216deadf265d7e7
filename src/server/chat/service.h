// Answers chats, in whatever API they were asked: from a request that has been understood to a running session.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/byte_budget.h"
#include "base/thread_pool.h"
#include "base/timer.h"
#include "media/fetch.h"
#include "pippin/engine.h"
#include "server/chat/call.h"
#include "server/chat/media.h"
#include "server/chat/reply.h"
#include "server/chat/request_scope.h"
#include "server/http/exchange.h"
#include "server/models/pool.h"

namespace pippin::server {

class Metrics;

struct ChatServiceOptions {
  /// Take lines that differ from request to request and mean nothing to a model out of system prompts (server/chat/canonical).
  bool canonical_prompts = true;
  /// Refuse requests with unknown fields instead of listing these in X-Pippin-Ignored.
  bool strict_fields = false;
  /// Requests of different API keys share no cached page, picture or grammar, and only admins see what all of them took.
  bool cache_per_key = false;
  ChatMediaLimits media;
  /// Pixels of decoded pictures and clips that are kept for the next turn.
  std::int64_t decoded_cache_bytes = std::int64_t{256} << 20;
  /// Memory for pictures and clips, kept ones and fetched files included; -1: what the first model's engine has set aside.
  std::int64_t decoded_bytes = -1;
  /// Seconds after which a stream begins, and is kept alive, whose model is still being loaded.
  double stream_patience_s = 5;
  media::FetchOptions fetch;
  /// Seconds that a request may take until its answer begins, beside its own `timeout`; the engine keeps to the rest of it. 0: any
  /// number.
  double request_timeout_s = 0;
  /// Told of answers as they are generated; null for none. Must outlive the service.
  Metrics* metrics = nullptr;
};

/// What an answer repeats, known once the prompt's media have been loaded.
struct ReplyFacts {
  std::string request_id;
  std::string model;         ///< as the request names it
  std::int64_t created = 0;  ///< in seconds since 1970
  int audio_tracks = 0;      ///< of the prompt's videos, not listened to
  const Engine* engine =
      nullptr;  ///< that answers; null: it is not loaded yet, and nothing may be asked of it
};

using MakeReply = std::function<std::unique_ptr<Reply>(const ReplyFacts&)>;

/// Holds no state of a request: each lives in a ChatSession. Thread-safe. Models and threads must outlive it.
class ChatService {
 public:
  /// Answers are formatted on `workers`; `loaders` render and tokenize texts, in clients' turns. What may take longer has threads of
  /// its own: one for the network, some for decoding pictures and videos, and the engine's for grammars. So none of it holds up a
  /// running answer or a text.
  ChatService(ModelPool& models, ChatServiceOptions options, ThreadPool& workers,
              ThreadPool& loaders);
  ~ChatService();

  /// Answers as `call` asks, streamed or whole, with what `make_reply` gives; the answer has `headers`. Throws Error for a model that is not served and,
  /// where told to, for unknown fields; all later errors go to the exchange.
  void answer(std::shared_ptr<Exchange> exchange, ChatCall call, MakeReply make_reply,
              Headers headers = {});

  /// The same for texts.
  void complete(std::shared_ptr<Exchange> exchange, CompletionCall call, MakeReply make_reply);

  /// Runs `work` on a loader, with the model once it is loaded; the error that leaves it is answered, and so is it where its time is over first.
  void post(std::shared_ptr<Exchange> exchange, const std::string& model,
            std::function<void(const ModelUsePtr&)> work);

  /// Tells `tell` the call's prompt, on another thread. Throws as above.
  void render(std::shared_ptr<Exchange> exchange, ChatCall call,
              std::function<void(RenderedPrompt, const Engine&)> tell);

  /// Tells `tell` how many tokens the call's prompt has, on another thread. Throws as above; so may `tell`, which answers.
  void count_tokens(std::shared_ptr<Exchange> exchange, ChatCall call,
                    std::function<void(std::int64_t)> tell);

  /// Throws Error for a model that is not served and, where told to, for unknown fields.
  void check(const std::string& model, const std::vector<std::string>& ignored) const;

  ModelPool& models() const { return models_; }

  std::int64_t volatile_lines_removed() const { return volatile_lines_; }
  void clear_decoded() { decoded_.clear(); }
  DecodedStats decoded_stats() const;

 private:
  using WithModel = std::function<void(ModelUsePtr)>;
  struct Streaming;
  static std::shared_ptr<Streaming> begin_streaming(const RequestScope& scope, MakeReply make_reply,
                                                    Headers headers, const std::string& model,
                                                    const std::vector<std::string>& ignored);
  void with_model(const std::shared_ptr<RequestScope>& scope, const std::string& name,
                  std::shared_ptr<Streaming> streaming, WithModel then);
  void begin_stream_in_time(const std::shared_ptr<RequestScope>& scope,
                            const std::shared_ptr<Streaming>& streaming);
  void keep_model(const Exchange& exchange, ModelUse& model, std::optional<double> seconds) const;
  static ReplyFacts begin_record(Exchange& exchange, const ModelUse& use, const std::string& model,
                                 bool streamed);
  std::shared_ptr<RequestScope> scope_of(std::shared_ptr<Exchange> exchange,
                                         double timeout_s) const;
  using Look = std::function<void(const RequestScope& scope, const Engine& engine,
                                  const ChatRequest& request)>;
  void look_at(std::shared_ptr<Exchange> exchange, ChatCall call, Look look);
  using Prepared = std::function<void(ChatCall& call, int audio_tracks)>;
  void prepare(std::shared_ptr<RequestScope> scope, ModelUsePtr model, ChatCall call, bool answers,
               Prepared then);
  template <class Request>
  void when_prepared(const std::shared_ptr<RequestScope>& scope, const ModelUsePtr& model,
                     Request& request, ThreadPool& threads, std::function<void()> work);
  std::string cache_salt(const Exchange& exchange, const std::string& sent) const;
  static void truncate(const Engine& engine, ChatRequest& request);
  void begin(const std::shared_ptr<RequestScope>& scope, const ModelUsePtr& model, ChatCall& call,
             int audio_tracks, const MakeReply& make_reply, Headers headers);
  void complete_now(const std::shared_ptr<RequestScope>& scope, const ModelUsePtr& model,
                    const CompletionCall& call, const MakeReply& make_reply);

  ModelPool& models_;
  const ChatServiceOptions options_;
  const std::int64_t decoded_bytes_;
  media::DecodedCache decoded_;
  ByteBudget decoded_memory_;
  ThreadPool& workers_;
  ThreadPool& loaders_;
  mutable Timer timer_;
  struct Door;
  const std::shared_ptr<Door> door_;  // through which the engine's threads come back
  ThreadPool media_threads_;
  const media::MediaFetcher fetcher_;
  std::atomic<std::int64_t> volatile_lines_ = 0;  // removed from prompts
};

/// Tells of unknown fields in the log and in the answer's X-Pippin-Ignored.
void report_ignored(const std::vector<std::string>& ignored, const std::string& request_id,
                    Headers& headers);

/// Answers a request whose body is compressed, which nothing here reads, and returns whether it was.
bool refuse_compressed(Exchange& exchange);

}  // namespace pippin::server
