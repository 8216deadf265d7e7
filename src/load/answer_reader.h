// Reads a chat completion as it arrives, and times it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace pippin {

/// What one request of a load test came to. Times are in seconds since the test's start.
struct RequestResult {
  int conversation = 0;
  int turn = 0;
  double sent = 0;
  double ended = 0;
  double first =
      -1;  ///< when the first text came; negative where the answer was not streamed or had none
  std::vector<double> gaps;  ///< seconds between pieces of a streamed answer
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t output_tokens = 0;  ///< by the server's usage, else the number of pieces
  bool has_usage = false;
  std::string error;  ///< a kind ("http 429", "timeout" ...); empty where it was answered

  bool ok() const { return error.empty(); }
  double latency() const { return ended - sent; }
  double ttft() const { return first - sent; }
  /// Mean seconds of a token after the first; negative where there is none.
  double per_token() const {
    return first >= 0 && output_tokens > 1
               ? (ended - first) / static_cast<double>(output_tokens - 1)
               : -1;
  }
};

/// Takes the bytes of one answer's body, of any server of the OpenAI API.
class AnswerReader {
 public:
  /// `result` has when it was sent; it is filled in.
  AnswerReader(RequestResult result, bool streamed)
      : result_(std::move(result)), streamed_(streamed) {}

  /// `now` in seconds since the test's start.
  void feed(std::string_view bytes, double now);
  /// The answer has ended, with status 0 and why where it is not complete.
  RequestResult finish(int status, const std::string& failure, double now);

  /// What the model said.
  const std::string& text() const { return text_; }

 private:
  void take_event(std::string_view data, double now);
  void take_piece(double now);
  void take_usage(const json::object& answer);
  void take_whole();
  void fail(std::string kind);

  RequestResult result_;
  const bool streamed_;
  std::string buffer_;  // streamed: an event's beginning; else the body
  std::string text_;
  double last_ = 0;  // when the last piece came
  std::int64_t num_pieces_ = 0;
  bool done_ = false;  // the stream has said that it has ended
};

}  // namespace pippin
