// A trace of the engine's steps and the server's requests, for ui.perfetto.dev or chrome://tracing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "pippin/step.h"
#include "server/observe/request_record.h"

namespace pippin::server {

struct TraceOptions {
  std::int64_t max_bytes = std::int64_t{1} << 30;  ///< the file ends there
  std::size_t max_waiting = 1 << 16;               ///< steps not written yet; more are left out
};

/// Writes the Chrome trace event format (a JSON array of events; times in microseconds since the start) on a thread of its
/// own. The engine's steps are spans of one track with their stages inside; each request is an asynchronous span with its
/// stages inside. Thread-safe.
class TraceWriter {
 public:
  /// Throws Error(invalid_argument) where the file can't be written.
  explicit TraceWriter(const std::filesystem::path& file, const TraceOptions& options = {});
  /// As close().
  ~TraceWriter();
  TraceWriter(const TraceWriter&) = delete;
  TraceWriter& operator=(const TraceWriter&) = delete;

  /// Copies the record and returns: no file, no wake-up, no exception, so that the engine's thread may call it. What there is no
  /// memory for is left out.
  void add(const StepRecord& step);
  /// Adds a request that the engine took; others are left out.
  void add(const RequestRecord& request);

  /// Writes what is left and ends the array; what comes later is dropped.
  void close();

 private:
  template <class Record>
  void add_to(std::vector<Record>& waiting, const Record& record) REQUIRES(mutex_);
  void write();
  std::string text_of(const std::vector<StepRecord>& steps,
                      const std::vector<RequestRecord>& requests);
  void put(const std::string& events);

  const std::filesystem::path file_;
  const TraceOptions options_;
  const StepRecord::Time start_;

  Mutex mutex_;
  ConditionVariable stop_;
  std::vector<StepRecord> steps_ GUARDED_BY(mutex_);
  std::vector<RequestRecord> requests_ GUARDED_BY(mutex_);
  std::int64_t dropped_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;

  std::ofstream out_;              // the writer's, as what follows
  std::int64_t num_bytes_ = 0;     // written
  std::int64_t num_requests_ = 0;  // written
  int track_ = 1;                  // of the last step
  bool full_ = false;
  std::thread thread_;
};

}  // namespace pippin::server
