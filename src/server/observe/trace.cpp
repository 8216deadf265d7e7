#include "server/observe/trace.h"

#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <exception>
#include <new>
#include <utility>

#include "base/insist.h"
#include "base/json.h"
#include "base/log.h"
#include "pippin/error.h"
#include "server/schema/finish_reason.h"

namespace pippin::server {
namespace {

using Time = StepRecord::Time;

constexpr std::chrono::milliseconds interval{100};

// Names of the tracks, without a comma before the first event.
constexpr std::string_view head =
    R"([{"ph":"M","pid":1,"tid":1,"name":"process_name","args":{"name":"pippin"}},
{"ph":"M","pid":1,"tid":1,"name":"thread_name","args":{"name":"engine"}},
{"ph":"M","pid":1,"tid":2,"name":"thread_name","args":{"name":"engine, ahead"}})";

class Events {
 public:
  explicit Events(Time start) : start_(start) {}

  /// A span of one of the engine's two tracks.
  void span(int track, std::string_view name, Time begin, Time end, std::string_view args = "{}") {
    fmt::format_to(std::back_inserter(text_),
                   ",\n{{\"ph\":\"X\",\"pid\":1,\"tid\":{},\"name\":\"{}\",\"ts\":{:.3f},"
                   "\"dur\":{:.3f},\"args\":{}}}",
                   track, name, micros(begin), micros(end) - micros(begin), args);
  }

  /// A span of request `id`'s own track; spans inside it come before its end is written.
  void begin(std::int64_t id, std::string_view name, Time at, std::string_view args = "{}") {
    edge('b', id, name, at, args);
  }
  void end(std::int64_t id, std::string_view name, Time at) { edge('e', id, name, at, "{}"); }

  void counter(Time at, int running, int waiting) {
    fmt::format_to(std::back_inserter(text_),
                   ",\n{{\"ph\":\"C\",\"pid\":1,\"tid\":1,\"name\":\"requests\",\"ts\":{:.3f},"
                   "\"args\":{{\"running\":{},\"waiting\":{}}}}}",
                   micros(at), running, waiting);
  }

  const std::string& text() const { return text_; }

 private:
  double micros(Time at) const {
    return std::chrono::duration<double, std::micro>(at - start_).count();
  }

  void edge(char phase, std::int64_t id, std::string_view name, Time at, std::string_view args) {
    fmt::format_to(std::back_inserter(text_),
                   ",\n{{\"ph\":\"{}\",\"pid\":1,\"tid\":1,\"cat\":\"request\",\"id\":{},"
                   "\"name\":\"{}\",\"ts\":{:.3f},\"args\":{}}}",
                   phase, id, name, micros(at), args);
  }

  const Time start_;
  std::string text_;
};

void add_step(const StepRecord& step, int track, Events& events) {
  events.span(
      track, "step", step.begun, step.ended,
      fmt::format(
          R"({{"number":{},"decode_rows":{},"prefill_rows":{},"prefills":{},"pictures":{},"failed":{},"ahead":{}}})",
          step.number, step.decode_rows, step.prefill_rows, step.prefills, step.pictures,
          step.failed, step.ahead));
  events.span(track, "schedule", step.begun, step.planned);
  if (step.pictures > 0) events.span(track, "encode", step.planned, step.encoded);
  events.span(track, "lay out", step.encoded, step.laid_out);
  events.span(track, "forward", step.laid_out, step.computed);
  events.span(track, "commit", step.computed, step.ended);
  events.counter(step.begun, step.running, step.waiting);
}

std::string args_of(const RequestRecord& request) {
  return json::serialize(json::object{
      {"request_id", request.id},
      {"status", request.status},
      {"finish_reason", request.finish ? json::value(name_of(*request.finish)) : nullptr},
      {"prompt_tokens", request.usage.prompt_tokens},
      {"cached_tokens", request.usage.cached_tokens},
      {"completion_tokens", request.usage.completion_tokens}});
}

// Stages that were not reached are left out; the one that the request ended in lasts until its end.
void add_request(const RequestRecord& request, std::int64_t id, Events& events) {
  const auto& times = request.times;
  const std::pair<const char*, Time> stages[] = {{"prepare", request.begun},
                                                 {"queued", times.submitted},
                                                 {"prefill", times.admitted},
                                                 {"decode", times.first_token}};
  events.begin(id, "request", request.begun, args_of(request));
  for (std::size_t i = 0; i < std::size(stages); ++i) {
    const auto& [name, begun] = stages[i];
    if (begun == Time{}) break;
    const bool last = i + 1 == std::size(stages) || stages[i + 1].second == Time{};
    events.begin(id, name, begun);
    events.end(id, name, last ? request.ended : stages[i + 1].second);
  }
  events.end(id, "request", request.ended);
}

}  // namespace

TraceWriter::TraceWriter(const std::filesystem::path& file, const TraceOptions& options)
    : file_(file),
      options_(options),
      start_(std::chrono::steady_clock::now()),
      out_(file, std::ios::binary | std::ios::trunc) {
  if (!out_)
    throw Error(Code::invalid_argument, "[trace] can't write to '" + file.string() + "'", "trace");
  steps_.reserve(1024);
  put(std::string(head));
  thread_ = std::thread([this] { write(); });
}

TraceWriter::~TraceWriter() { close(); }

void TraceWriter::add(const StepRecord& step) {
  const MutexLock lock(mutex_);
  add_to(steps_, step);
}

void TraceWriter::add(const RequestRecord& request) {
  if (request.times.submitted == Time{}) return;
  const MutexLock lock(mutex_);
  add_to(requests_, request);
}

template <class Record>
void TraceWriter::add_to(std::vector<Record>& waiting, const Record& record) {
  try {
    if (!stopping_ && waiting.size() < options_.max_waiting) return waiting.push_back(record);
  } catch (const std::bad_alloc&) {  // whoever is traced goes on
  }
  ++dropped_;
}

void TraceWriter::close() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void TraceWriter::write() {
  std::vector<StepRecord> steps;
  std::vector<RequestRecord> requests;
  for (bool stopping = false; !stopping;) {
    steps.clear();
    requests.clear();
    {
      MutexLock lock(mutex_);
      stop_.wait_for(mutex_, interval, [this]() REQUIRES(mutex_) { return stopping_; });
      steps_.swap(steps);
      requests_.swap(requests);
      stopping = stopping_;
    }
    try {
      put(text_of(steps, requests));
    } catch (const std::exception&) {  // no memory
      const MutexLock lock(mutex_);
      dropped_ += static_cast<std::int64_t>(steps.size() + requests.size());
    }
  }
  out_ << "\n]\n";
  out_.close();
  const MutexLock lock(mutex_);
  if (dropped_ > 0)
    insist([this]() REQUIRES(mutex_) {
      spdlog::warn("[trace] {} steps and requests are missing: too many at once, or no memory",
                   dropped_);
    });
}

std::string TraceWriter::text_of(const std::vector<StepRecord>& steps,
                                 const std::vector<RequestRecord>& requests) {
  Events events(start_);
  for (const auto& step : steps) {
    track_ = step.ahead ? 3 - track_ : 1;  // beside the step before it
    add_step(step, track_, events);
  }
  for (const auto& request : requests) add_request(request, num_requests_++, events);
  return events.text();
}

void TraceWriter::put(const std::string& events) {
  if (full_ || events.empty()) return;
  num_bytes_ += static_cast<std::int64_t>(events.size());
  full_ = num_bytes_ > options_.max_bytes;
  if (!full_) out_ << events << std::flush;
  if (out_ && !full_) return;
  spdlog::warn("[trace] '{}' ends here: {}", file_.string(),
               full_ ? "it is as long as it may get" : "it can't be written to");
  full_ = true;
}

}  // namespace pippin::server
