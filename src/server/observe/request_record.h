// What is known of a request when it has ended: for its line in the log, the metrics and the trace. No prompts, no answers.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "pippin/request.h"

namespace pippin::server {

/// Held by the connection and by the exchange, each of which writes its own members; whoever lets go last hands it to the
/// observer, so nothing of it is read before both are done.
struct RequestRecord {
  using Time = std::chrono::steady_clock::time_point;

  // The connection's.
  std::string id;      ///< X-Request-Id
  std::string method;  ///< as sent
  std::string path;    ///< as sent, of printable characters
  std::string client;  ///< "127.0.0.1:54321"
  Time begun;          ///< the request had been received
  Time ended;          ///< the answer's last byte had been sent
  int status = 0;
  bool complete = false;  ///< false where the client left, or was cut off, before the answer's end

  // The exchange's, and its handler's.
  std::string route;  ///< the pattern of its path: "/v1/models/*"; empty where there is none
  std::string model;  ///< what it is answered by; empty where it never came so far
  bool streamed = false;
  Usage usage;
  AnswerTimes times;
  std::optional<FinishReason> finish;
  std::string error;  ///< that ended a stream which had begun
};

/// Called once a request, from any thread, after its end; must not throw, and return soon.
using RequestObserver = std::function<void(const RequestRecord&)>;

/// A record that goes to `observer` (if there is one) when its last holder lets go.
std::shared_ptr<RequestRecord> make_record(const RequestObserver& observer);

}  // namespace pippin::server
