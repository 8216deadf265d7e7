// What GET /metrics shows, in Prometheus' text format; docs/metrics.md says what each metric means.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

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
  std::string model = {};  ///< that answers; empty: the first
};

/// What is shown of a model.
struct ModelMetrics {
  std::string name;
  EngineStats stats;
  bool loaded = true;
  std::int64_t loads = 0, failures = 0;  ///< since the start
  std::int64_t waiting = 0;              ///< requests that wait for its load
};

/// Counts what requests do, under vLLM's names where it has them; the engine's own counters are read when they are asked
/// for. Every metric carries its model's name. Thread-safe; its callers are the server's threads, never the engine's.
class Metrics {
 public:
  /// The first model's, which metrics of requests carry that name none.
  explicit Metrics(const std::string& model_name);
  ~Metrics();

  /// An event of an answer has come; `before` is as the event before left it.
  void answer_went_on(const AnswerProgress& before, const ChatEvent& event,
                      const AnswerTimes& times);
  void request_ended(const RequestRecord& record);

  /// The metrics of the first model alone.
  std::string text(const EngineStats& stats, const BodyStats& bodies = {}) const;
  std::string text(const std::vector<ModelMetrics>& models, const BodyStats& bodies) const;

 private:
  struct Families;
  Families& families_of(const std::string& model) const;

  const std::string model_name_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::unique_ptr<Families>>
      families_;  // guarded; each by itself thread-safe
};

}  // namespace pippin::server
