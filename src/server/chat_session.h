// One chat answer on its way from the engine to the client.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "pippin/error.h"
#include "pippin/request.h"
#include "server/backend.h"
#include "server/chat_reply.h"
#include "server/exchange.h"

namespace pippin {
class ThreadPool;
}

namespace pippin::server {

class Metrics;

/// Carries events to the exchange: as chunks while they arrive, or folded into one answer at the end. It is the same loop
/// for both. Driven by events alone: the engine's "something has arrived" and the connection's "that has left" each post
/// one run of pump() to the workers, so no thread waits, and a slow client holds back only its own answer.
/// Lives as long as one of these events is outstanding; when the client goes away it drops the event source, which
/// cancels the request.
class ChatSession : public std::enable_shared_from_this<ChatSession> {
 public:
  struct Options {
    bool stream = false;
    bool include_usage = false;
    Headers headers;             ///< of the answer, beside its type
    Metrics* metrics = nullptr;  ///< told of tokens as they come
  };

  ChatSession(std::shared_ptr<Exchange> exchange, ChatReply reply, Options options,
              ThreadPool& workers);

  /// Begins to answer with what `source` gives. Called once.
  void start(std::unique_ptr<EventSource> source);

 private:
  void pump();
  void cancel();
  void take(const ChatEvent& event);  // mutex_ held
  void note(const ChatEvent& event);  // mutex_ held
  void drain();                       // mutex_ held
  void end();                         // mutex_ held
  void fail(const Error& error);      // mutex_ held

  const std::shared_ptr<Exchange> exchange_;
  const ChatReply reply_;
  const Options options_;
  ThreadPool& workers_;

  std::mutex mutex_;                     // pump() and cancel() may meet
  std::unique_ptr<EventSource> source_;  // guarded; null once the answer has ended
  std::string chunks_;                   // guarded; to be sent
  ChatAnswer answer_;                    // guarded; so far: of a streamed one only how it ended
};

}  // namespace pippin::server
