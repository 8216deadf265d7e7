// How an API says an answer. One subclass an API: a reply.h, or NAME_reply.h, in each API's folder.
#pragma once

#include <cstddef>
#include <string>

#include "pippin/error.h"
#include "pippin/request.h"

namespace pippin::server {

/// How a stream is sent.
struct StreamForm {
  std::string content_type;
  std::string keep_alive;  ///< sent where nothing else is for a while; says nothing
};

/// Server-sent events.
StreamForm event_stream();

/// One answer in an API's words: takes the engine's events, gives the bytes that the client gets. An answer may have several
/// choices (OpenAI's `n`), numbered from 0, whose events come mixed, each choice's in order.
/// A stream is open(), add() for each event, close(); or fail() at any point after open(). What they return is sent as it is
/// and may be empty. An answer that is not streamed is fold() for each event, then whole(). Used by one thread at a time.
class Reply {
 public:
  virtual ~Reply() = default;

  virtual StreamForm form() const { return event_stream(); }
  /// Sent at once, before the prompt has been read.
  virtual std::string open() = 0;
  virtual std::string add(std::size_t choice, const ChatEvent& event) = 0;
  /// Every choice has ended.
  virtual std::string close() = 0;
  /// The answer ends with an error; as the stream has begun, no status can say so.
  virtual std::string fail(const Error& error) = 0;

  virtual void fold(std::size_t choice, const ChatEvent& event) = 0;
  /// The JSON body of the folded answer.
  virtual std::string whole() = 0;
};

}  // namespace pippin::server
