#include "server/observe/request_log.h"

#include <cmath>

#include "base/log_event.h"
#include "server/schema/finish_reason.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

json::value milliseconds(RequestRecord::Time from, RequestRecord::Time to) {
  if (from == RequestRecord::Time{} || to == RequestRecord::Time{}) return nullptr;
  const double ms = std::chrono::duration<double, std::milli>(to - from).count();
  return std::round(ms * 10) / 10;
}

void add_answer(const RequestRecord& record, json::object& values) {
  values["model"] = record.model;
  values["stream"] = record.streamed;
  values["finish_reason"] = record.finish ? json::value(name_of(*record.finish)) : nullptr;
  values["prompt_tokens"] = record.usage.prompt_tokens;
  values["cached_tokens"] = record.usage.cached_tokens;
  values["completion_tokens"] = record.usage.completion_tokens;
  values["queue_ms"] = milliseconds(record.times.submitted, record.times.admitted);
  values["ttft_ms"] = milliseconds(record.begun, record.times.first_token);
}

}  // namespace

void log_request(const RequestRecord& record) {
  const auto level = record.method == "POST" ? spdlog::level::info : spdlog::level::debug;
  if (!spdlog::should_log(level)) return;
  json::object values{{"id", record.id},         {"client", record.client},
                      {"method", record.method}, {"path", record.path},
                      {"status", record.status}, {"complete", record.complete}};
  if (!record.model.empty()) add_answer(record, values);
  values["total_ms"] = milliseconds(record.begun, record.ended);
  if (!record.error.empty()) values["error"] = valid_utf8(record.error);
  log_event(level, "request", values);
}

}  // namespace pippin::server
