// What GET /metrics shows, in Prometheus' text format; docs/metrics.md says what each metric means.
#pragma once

#include <memory>
#include <string>

#include "pippin/engine.h"
#include "pippin/request.h"
#include "server/observe/body_stats.h"
#include "server/observe/request_record.h"

namespace pippin::server {

/// How far one answer of a request has got.
struct AnswerProgress {
  RequestRecord::Time begun;  ///< its request's
  std::int64_t completion_tokens = 0;
  AnswerTimes::Time last_token = {};
};

/// Counts what requests do, under vLLM's names where it has them; the engine's own counters are read when they are asked
/// for. Every metric carries the model's name. Thread-safe; its callers are the server's threads, never the engine's.
class Metrics {
 public:
  explicit Metrics(const std::string& model_name);
  ~Metrics();

  /// An event of an answer has come; `before` is as the event before left it.
  void answer_went_on(const AnswerProgress& before, const ChatEvent& event,
                      const AnswerTimes& times);
  void request_ended(const RequestRecord& record);

  std::string text(const EngineStats& stats, const BodyStats& bodies = {}) const;

 private:
  struct Families;
  const std::string model_name_;
  const std::unique_ptr<Families> families_;
};

}  // namespace pippin::server
