// One answer on its way from the engine to the client.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "pippin/engine.h"
#include "pippin/error.h"
#include "pippin/request.h"
#include "server/chat/reply.h"
#include "server/http/exchange.h"
#include "server/models/pool.h"
#include "server/observe/metrics.h"

namespace pippin {
class ThreadPool;
}

namespace pippin::server {

/// Carries events to the exchange in the words of a Reply: as pieces while they arrive, or folded into one answer at the
/// end. It is the same loop for both, and for any number of choices. Driven by events alone: the engine's "something has
/// arrived" and the connection's "that has left" each post one run of pump() to the workers, so no thread waits, and a slow
/// client holds back only its own answer.
/// Lives as long as one of these events is outstanding; when the client goes away it drops the streams, which
/// cancels the request.
class ChatSession : public std::enable_shared_from_this<ChatSession> {
 public:
  struct Options {
    bool stream = false;
    Headers headers;             ///< of the answer, beside its type
    Metrics* metrics = nullptr;  ///< told of tokens as they come
    ModelUsePtr model;           ///< that answers; null in tests
  };

  ChatSession(std::shared_ptr<Exchange> exchange, std::unique_ptr<Reply> reply, Options options,
              ThreadPool& workers);

  /// Begins to answer with what `streams` give, one a choice, at least one. Called once.
  void start(ChatStreams streams);

 private:
  /// One of the answers that the client gets.
  struct Choice {
    std::unique_ptr<ChatStream> stream;
    Usage usage;                         ///< so far
    AnswerProgress progress;             ///< so far
    std::optional<FinishReason> finish;  ///< once it has ended
  };

  void begin(ChatStreams streams);  // mutex_ held
  void pump();
  void written();
  void cancel();
  void drain();                                       // mutex_ held
  void take(std::size_t index);                       // mutex_ held
  void note(Choice& choice, const ChatEvent& event);  // mutex_ held
  void wait();                                        // mutex_ held
  void end();                                         // mutex_ held
  void fail(const Error& error);                      // mutex_ held
  void fail_with_current();                           // mutex_ held

  const std::shared_ptr<Exchange> exchange_;
  const Options options_;
  ThreadPool& workers_;

  std::mutex mutex_;                    // pump() and cancel() may meet
  const std::unique_ptr<Reply> reply_;  // guarded
  std::vector<Choice> choices_;         // guarded; empty once the answer has ended
  std::string pieces_;                  // guarded; to be sent
  bool writing_ = false;                // guarded; a piece has not left yet
};

}  // namespace pippin::server
