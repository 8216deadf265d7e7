#include "server/observe/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <iterator>
#include <sstream>
#include <utility>

#include "server/observe/metrics_engine.h"
#include "server/schema/finish_reason.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;

// Agents send prompts that take minutes to read, and answers that take longer.
const Buckets first_token_buckets = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,   2,
                                     4,    8,     15,   30,  60,   120, 180, 300};
const Buckets gap_buckets = {0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1,
                             0.15,  0.2,   0.3,  0.5,  1,    2,    5,     10};
const Buckets request_buckets = {0.05, 0.1, 0.25, 0.5, 1,   2,   4,    8,   15,
                                 30,   60,  120,  300, 600, 900, 1800, 3600};
const Buckets token_buckets = {1,    4,    16,    64,    256,   512,    1024,   2048,
                               4096, 8192, 16384, 32768, 65536, 131072, 262144, 1048576};

double seconds(RequestRecord::Time from, RequestRecord::Time to) {
  return std::chrono::duration<double>(to - from).count();
}

bool is_set(RequestRecord::Time time) { return time != RequestRecord::Time{}; }

// vLLM's reasons.
const char* finished_reason(const RequestRecord& record) {
  if (record.finish) return name_of(*record.finish);
  if (record.status >= 500 || !record.error.empty()) return "error";
  return "abort";
}

}  // namespace

struct Metrics::Families {
  explicit Families(const std::string& model)
      : labels{{"model_name", model}},
        first_token(histogram("pippin:time_to_first_token_seconds", "From a request's arrival.",
                              first_token_buckets)),
        gap(histogram("pippin:inter_token_latency_seconds", "Between an answer's tokens.",
                      gap_buckets)),
        per_token(histogram("pippin:request_time_per_output_token_seconds",
                            "Mean of an answer's tokens after the first.", gap_buckets)),
        whole(histogram("pippin:e2e_request_latency_seconds",
                        "From a request's arrival until its answer is sent.", request_buckets)),
        queue(
            histogram("pippin:request_queue_time_seconds", "Waiting for pages.", request_buckets)),
        prefill(histogram("pippin:request_prefill_time_seconds",
                          "From its pages until the first token.", request_buckets)),
        decode(histogram("pippin:request_decode_time_seconds", "From the first token to the last.",
                         request_buckets)),
        inference(histogram("pippin:request_inference_time_seconds",
                            "From its pages until the last token.", request_buckets)),
        prompt(histogram("pippin:request_prompt_tokens", "Tokens of a prompt.", token_buckets)),
        generated(
            histogram("pippin:request_generation_tokens", "Tokens of an answer.", token_buckets)),
        ended(prometheus::BuildCounter()
                  .Name("pippin:request_success_total")
                  .Help("Requests that the engine took, by why they ended.")
                  .Labels(labels)
                  .Register(registry)),
        http(prometheus::BuildCounter()
                 .Name("pippin:http_requests_total")
                 .Help("All requests by route and status.")
                 .Labels(labels)
                 .Register(registry)) {
    // So that they are there, at 0, before the first request.
    for (const char* reason : {"stop", "length", "tool_calls", "abort", "error"})
      ended.Add({{"finished_reason", reason}});
  }

  prometheus::Histogram& histogram(const char* name, const char* help, const Buckets& buckets) {
    return prometheus::BuildHistogram().Name(name).Help(help).Labels(labels).Register(registry).Add(
        {}, buckets);
  }

  prometheus::Registry registry;
  const prometheus::Labels labels;
  prometheus::Histogram &first_token, &gap, &per_token, &whole, &queue, &prefill, &decode,
      &inference, &prompt, &generated;
  prometheus::Family<prometheus::Counter>& ended;
  prometheus::Family<prometheus::Counter>& http;
};

Metrics::Metrics(const std::string& model_name) : model_name_(valid_utf8(model_name)) {
  families_of("");
}

Metrics::~Metrics() = default;

Metrics::Families& Metrics::families_of(const std::string& model) const {
  const std::string name = model.empty() ? model_name_ : valid_utf8(model);
  const std::lock_guard lock(mutex_);
  auto& families = families_[name];
  if (!families) families = std::make_unique<Families>(name);
  return *families;
}

void Metrics::answer_went_on(const AnswerProgress& before, const ChatEvent& event,
                             const AnswerTimes& times) {
  auto& families = families_of(before.model);
  auto tokens = event.usage.completion_tokens - before.completion_tokens;
  auto since = before.last_token;
  if (tokens > 0 && before.completion_tokens == 0) {
    families.first_token.Observe(seconds(before.begun, times.first_token));
    since = times.first_token;
    --tokens;
  }
  // A character may take several tokens; they share the time.
  const double gap = seconds(since, times.last_token) / static_cast<double>(tokens);
  for (std::int64_t i = 0; i < tokens; ++i) families.gap.Observe(gap);
}

void Metrics::request_ended(const RequestRecord& record) {
  auto& f = families_of(record.model);
  f.http
      .Add({{"route", record.route.empty() ? "other" : record.route},
            {"method", record.route.empty() ? "other" : record.method},
            {"status", std::to_string(record.status)}})
      .Increment();
  if (!is_set(record.times.submitted)) return;
  f.ended.Add({{"finished_reason", finished_reason(record)}}).Increment();
  if (is_set(record.times.admitted))
    f.queue.Observe(seconds(record.times.submitted, record.times.admitted));
  if (!record.finish) return;
  const auto& times = record.times;
  f.whole.Observe(seconds(record.begun, record.ended));
  f.prefill.Observe(seconds(times.admitted, times.first_token));
  f.decode.Observe(seconds(times.first_token, times.last_token));
  f.inference.Observe(seconds(times.admitted, times.last_token));
  f.prompt.Observe(static_cast<double>(record.usage.prompt_tokens));
  f.generated.Observe(static_cast<double>(record.usage.completion_tokens));
  if (record.usage.completion_tokens > 1)
    f.per_token.Observe(seconds(times.first_token, times.last_token) /
                        static_cast<double>(record.usage.completion_tokens - 1));
}

namespace {

// Each family once: the same of other models is added to it.
void merge(std::vector<prometheus::MetricFamily>& all, std::vector<prometheus::MetricFamily> more) {
  for (auto& family : more) {
    const auto same = std::find_if(all.begin(), all.end(),
                                   [&](const auto& one) { return one.name == family.name; });
    if (same == all.end())
      all.push_back(std::move(family));
    else
      same->metric.insert(same->metric.end(), std::make_move_iterator(family.metric.begin()),
                          std::make_move_iterator(family.metric.end()));
  }
}

}  // namespace

std::string Metrics::text(const EngineStats& stats, const BodyStats& bodies) const {
  return text(std::vector<ModelMetrics>{{model_name_, stats, true, 1}}, bodies);
}

std::string Metrics::text(const std::vector<ModelMetrics>& models, const BodyStats& bodies) const {
  std::vector<prometheus::MetricFamily> families;
  for (const ModelMetrics& model : models) {
    const std::string name = valid_utf8(model.name);
    if (model.loaded) merge(families, engine_metrics(model.stats, name));
    merge(families, pool_metrics(model, name));
  }
  merge(families, body_metrics(bodies, model_name_));
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, of_model] : families_) merge(families, of_model->registry.Collect());
  }
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return std::move(out).str();
}

}  // namespace pippin::server
