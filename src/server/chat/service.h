// Answers chats, in whatever API they were asked: from a request that has been understood to a running session.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
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

namespace pippin::server {

class Metrics;

struct ChatServiceOptions {
  /// Names under which the model is served; the first is the one that answers carry. Empty: the model's own.
  std::vector<std::string> model_names;
  /// Further names that requests may use, which are not listed.
  std::vector<std::string> model_aliases;
  /// Take lines that differ from request to request and mean nothing to a model out of system prompts (server/chat/canonical).
  bool canonical_prompts = true;
  /// Refuse requests with unknown fields instead of listing these in X-Pippin-Ignored.
  bool strict_fields = false;
  /// Requests of different API keys share no cached page, picture or grammar, and only admins see what all of them took.
  bool cache_per_key = false;
  ChatMediaLimits media;
  /// Pixels of decoded pictures and clips that are kept for the next turn.
  std::int64_t decoded_cache_bytes = std::int64_t{256} << 20;
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
};

using MakeReply = std::function<std::unique_ptr<Reply>(const ReplyFacts&)>;

/// Holds no state of a request: each lives in a ChatSession. Thread-safe. Engine and pools must outlive it.
class ChatService {
 public:
  /// Answers are formatted on `workers`; `loaders` render and tokenize texts, in clients' turns. What may take longer has threads of
  /// its own: one for the network, some for decoding pictures and videos, and the engine's for grammars. So none of it holds up a
  /// running answer or a text.
  ChatService(Engine& engine, ChatServiceOptions options, ThreadPool& workers, ThreadPool& loaders);
  ~ChatService();

  /// Answers as `call` asks, streamed or whole, with what `make_reply` gives; the answer has `headers`. Throws Error for a model that is not served and,
  /// where told to, for unknown fields; all later errors go to the exchange.
  void answer(std::shared_ptr<Exchange> exchange, ChatCall call, MakeReply make_reply,
              Headers headers = {});

  /// The same for texts.
  void complete(std::shared_ptr<Exchange> exchange, CompletionCall call, MakeReply make_reply);

  /// Runs `work` on a loader; the error that leaves it is answered, and so is it where its time is over first.
  void post(std::shared_ptr<Exchange> exchange, std::function<void()> work);

  /// Tells `tell` the call's prompt, on another thread. Throws as above.
  void render(std::shared_ptr<Exchange> exchange, ChatCall call,
              std::function<void(RenderedPrompt)> tell);

  /// Tells `tell` how many tokens the call's prompt has, on another thread. Throws as above; so may `tell`, which answers.
  void count_tokens(std::shared_ptr<Exchange> exchange, ChatCall call,
                    std::function<void(std::int64_t)> tell);

  /// Throws Error for a model that is not served and, where told to, for unknown fields.
  void check(const std::string& model, const std::vector<std::string>& ignored) const;

  /// Never empty.
  const std::vector<std::string>& model_names() const { return names_; }
  /// Throws Error(not_found) where no model has that name; an empty one is any.
  void check_model(const std::string& name) const;

  std::int64_t volatile_lines_removed() const { return volatile_lines_; }
  void clear_decoded() { decoded_.clear(); }
  DecodedStats decoded_stats() const;

 private:
  ReplyFacts begin_record(Exchange& exchange, const std::string& model, bool streamed) const;
  std::shared_ptr<RequestScope> scope_of(std::shared_ptr<Exchange> exchange,
                                         double timeout_s) const;
  using Prepared = std::function<void(ChatCall& call, int audio_tracks)>;
  void prepare(std::shared_ptr<RequestScope> scope, ChatCall call, bool answers, Prepared then);
  template <class Request>
  void when_prepared(const std::shared_ptr<RequestScope>& scope, Request& request,
                     ThreadPool& threads, std::function<void()> work);
  std::string cache_salt(const Exchange& exchange, const std::string& sent) const;
  void truncate(ChatRequest& request) const;
  void begin(const std::shared_ptr<RequestScope>& scope, ChatCall& call, int audio_tracks,
             const MakeReply& make_reply, Headers headers);
  void complete_now(const std::shared_ptr<RequestScope>& scope, const CompletionCall& call,
                    const MakeReply& make_reply);

  Engine& engine_;
  const ChatServiceOptions options_;
  const std::vector<std::string> names_;
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
