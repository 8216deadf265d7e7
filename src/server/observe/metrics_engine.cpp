#include "server/observe/metrics_engine.h"

#include <cstdint>
#include <limits>
#include <utility>

namespace pippin::server {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

using Value = double (*)(const EngineStats&);

struct Scalar {
  const char* name;
  const char* help;
  MetricType type;
  Value value;
};

double number(std::int64_t value) { return static_cast<double>(value); }

std::int64_t pages_used(const EngineStats& s) {
  return s.pages_total - s.pages_free - s.pages_cached;
}

double usage(const EngineStats& s) {
  return s.pages_total > 0 ? number(pages_used(s)) / number(s.pages_total) : 0;
}

constexpr auto counter = MetricType::Counter;
constexpr auto gauge = MetricType::Gauge;

constexpr Scalar scalars[] = {
    {"pippin:num_requests_running", "Requests being computed.", gauge,
     [](const EngineStats& s) { return number(s.sequences_running); }},
    {"pippin:num_requests_waiting", "Requests waiting to be computed.", gauge,
     [](const EngineStats& s) { return number(s.sequences_waiting); }},
    {"pippin:num_requests_held", "Of both, those whose clients are too slow in reading.", gauge,
     [](const EngineStats& s) { return number(s.sequences_held); }},
    {"pippin:kv_cache_usage_perc", "Share of the KV pages that requests hold (1: all).", gauge,
     usage},
    {"pippin:healthy",
     "1, or 0 while a step takes too long, memory is missing, or the engine has stopped.", gauge,
     [](const EngineStats& s) { return s.healthy ? 1.0 : 0.0; }},
    {"pippin:media_cache_bytes", "Encoder outputs that are kept.", gauge,
     [](const EngineStats& s) { return number(s.media_cache_bytes); }},
    {"pippin:prompt_tokens_total", "Tokens of admitted prompts.", counter,
     [](const EngineStats& s) { return number(s.prompt_tokens); }},
    {"pippin:generation_tokens_total", "Tokens generated.", counter,
     [](const EngineStats& s) { return number(s.generated_tokens); }},
    {"pippin:prefix_cache_queries_total", "Prompts' tokens looked up in the page cache.", counter,
     [](const EngineStats& s) { return number(s.prompt_tokens); }},
    {"pippin:prefix_cache_hits_total", "Prompts' tokens found in the page cache.", counter,
     [](const EngineStats& s) { return number(s.cached_tokens); }},
    {"pippin:num_preemptions_total", "Times that a request gave its pages back.", counter,
     [](const EngineStats& s) { return number(s.preemptions); }},
    {"pippin:gpu_kernel_mismatches",
     "Uses of our GPU kernels that MLX's operations contradict, or that failed: MLX does them.",
     gauge, [](const EngineStats& s) { return number(s.gpu_kernel_mismatches); }},
    {"pippin:kv_pages_evicted_total", "Cached KV pages whose place was needed.", counter,
     [](const EngineStats& s) { return number(s.pages_evicted); }},
    {"pippin:state_snapshots", "Kept snapshots of recurrent layers' states.", gauge,
     [](const EngineStats& s) { return number(s.snapshots); }},
    {"pippin:state_snapshots_evicted_total", "Snapshots whose slot was needed.", counter,
     [](const EngineStats& s) { return number(s.snapshots_evicted); }},
    {"pippin:encoder_runs_total", "Pictures that the vision encoder read.", counter,
     [](const EngineStats& s) { return number(s.encoder_runs); }},
    {"pippin:encoder_hits_total", "Pictures found in the media cache.", counter,
     [](const EngineStats& s) { return number(s.encoder_hits); }},
    {"pippin:media_cache_evictions_total", "Encoder outputs dropped for want of room.", counter,
     [](const EngineStats& s) { return number(s.media_cache_evictions); }},
    {"pippin:decoded_bytes", "Decoded pictures and videos, in use or kept.", gauge,
     [](const EngineStats& s) { return number(s.decoded.bytes); }},
    {"pippin:decoded_waiting", "Requests that wait for memory for pictures and videos.", gauge,
     [](const EngineStats& s) { return number(s.decoded.waiting); }},
    {"pippin:media_fetches", "Pictures and videos that are fetched over the network.", gauge,
     [](const EngineStats& s) { return number(s.decoded.fetches); }},
    {"pippin:fetched_bytes", "Fetched files that are not decoded yet.", gauge,
     [](const EngineStats& s) { return number(s.decoded.fetched_bytes); }},
    {"pippin:grammar_bytes", "Compiled grammars and what running answers learn of them.", gauge,
     [](const EngineStats& s) { return number(s.grammars.bytes); }},
    {"pippin:grammars_waiting", "Grammars waiting to be compiled.", gauge,
     [](const EngineStats& s) { return number(s.grammars.waiting); }},
    {"pippin:grammars_compiled_total", "Grammars compiled.", counter,
     [](const EngineStats& s) { return number(s.grammars.compiled); }},
    {"pippin:grammars_refused_total", "Grammars that were wrong, too large or too slow to compile.",
     counter, [](const EngineStats& s) { return number(s.grammars.refused); }},
    {"pippin:grammars_busy_total", "Grammars turned away for want of a place or of memory.",
     counter, [](const EngineStats& s) { return number(s.grammars.busy); }},
    {"pippin:disk_cache_bytes", "Size of the cache directory.", gauge,
     [](const EngineStats& s) { return number(s.disk.bytes); }},
    {"pippin:disk_cache_hits_total", "KV pages and encoder outputs read from it.", counter,
     [](const EngineStats& s) { return number(s.disk.hits); }},
    {"pippin:disk_cache_misses_total", "Of what seemed to be there: vanished or damaged.", counter,
     [](const EngineStats& s) {
       return number(s.disk.absent + s.disk.damaged + s.disk.unreadable);
     }},
    {"pippin:disk_cache_writes_total", "KV pages and encoder outputs written to it.", counter,
     [](const EngineStats& s) { return number(s.disk.writes); }},
    {"pippin:disk_cache_write_errors_total", "Writes that failed.", counter,
     [](const EngineStats& s) { return number(s.disk.write_errors); }},
    {"pippin:disk_cache_evictions_total", "Files removed for want of room.", counter,
     [](const EngineStats& s) { return number(s.disk.evictions); }},
    {"pippin:steps_total", "Steps of the engine.", counter,
     [](const EngineStats& s) { return number(s.step.rows.count()); }},
    {"pippin:steps_ahead_total", "Of these, launched before the one before was read.", counter,
     [](const EngineStats& s) { return number(s.step.ahead); }},
    {"pippin:rows_in_vain_total", "Tokens that these computed for answers that had ended.", counter,
     [](const EngineStats& s) { return number(s.wasted_tokens); }},
    {"pippin:steps_failed_total", "Steps that failed, with their requests.", counter,
     [](const EngineStats& s) { return number(s.step.failed); }},
    {"pippin:step_encoder_seconds_total", "Time that the vision encoder took.", counter,
     [](const EngineStats& s) { return number(s.step.encoder_ns) / 1e9; }},
};

struct Labelled {
  const char* label;
  Value value;
};

constexpr Labelled page_states[] = {
    {"used", [](const EngineStats& s) { return number(pages_used(s)); }},
    {"cached", [](const EngineStats& s) { return number(s.pages_cached); }},
    {"free", [](const EngineStats& s) { return number(s.pages_free); }},
};

constexpr Labelled window_page_states[] = {
    {"used",
     [](const EngineStats& s) {
       return number(s.window_pages - s.window_pages_free - s.window_pages_cached);
     }},
    {"cached", [](const EngineStats& s) { return number(s.window_pages_cached); }},
    {"free", [](const EngineStats& s) { return number(s.window_pages_free); }},
};

constexpr Labelled prefix_results[] = {
    {"whole", [](const EngineStats& s) { return number(s.prefix_whole); }},
    {"extended", [](const EngineStats& s) { return number(s.prefix_extended); }},
    {"diverged", [](const EngineStats& s) { return number(s.prefix_diverged); }},
    {"evicted", [](const EngineStats& s) { return number(s.prefix_evicted); }},
    {"unknown", [](const EngineStats& s) { return number(s.prefix_unknown); }},
};

constexpr Labelled memory_parts[] = {
    {"weights", [](const EngineStats& s) { return number(s.memory.weights); }},
    {"activations", [](const EngineStats& s) { return number(s.memory.activations); }},
    {"grammars", [](const EngineStats& s) { return number(s.memory.grammars); }},
    {"media", [](const EngineStats& s) { return number(s.memory.media); }},
    {"decoded",
     [](const EngineStats& s) { return s.memory.decoded_apart ? 0.0 : number(s.memory.decoded); }},
    {"pages", [](const EngineStats& s) { return number(s.memory.pages); }},
    {"states", [](const EngineStats& s) { return number(s.memory.states); }},
    {"unused", [](const EngineStats& s) { return number(s.memory.budget - s.memory.used()); }},
};

// Makes the families, one after the other.
class Collector {
 public:
  Collector(const EngineStats& stats, const std::string& model_name)
      : stats_(stats), model_name_(model_name) {}

  void add(const Scalar& scalar) {
    MetricFamily family{scalar.name, scalar.help, scalar.type, {metric()}};
    set(family.metric.front(), scalar.type, scalar.value(stats_));
    families_.push_back(std::move(family));
  }

  template <std::size_t n>
  void add(const char* name, const char* help, MetricType type, const char* label,
           const Labelled (&values)[n]) {
    MetricFamily family{name, help, type, {}};
    for (const auto& [text, value] : values) {
      ClientMetric one = metric();
      one.label.push_back({label, text});
      set(one, type, value(stats_));
      family.metric.push_back(std::move(one));
    }
    families_.push_back(std::move(family));
  }

  void add(const char* name, const char* help, const Histogram& histogram) {
    ClientMetric one = metric();
    one.histogram.sample_count = static_cast<std::uint64_t>(histogram.count());
    one.histogram.sample_sum = histogram.sum();
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < histogram.counts().size(); ++i) {
      below += static_cast<std::uint64_t>(histogram.counts()[i]);
      one.histogram.bucket.push_back({below, i < histogram.bounds().size()
                                                 ? histogram.bounds()[i]
                                                 : std::numeric_limits<double>::infinity()});
    }
    families_.push_back({name, help, MetricType::Histogram, {std::move(one)}});
  }

  std::vector<MetricFamily> take() { return std::move(families_); }

 private:
  ClientMetric metric() const {
    ClientMetric one;
    one.label.push_back({"model_name", model_name_});
    return one;
  }

  static void set(ClientMetric& metric, MetricType type, double value) {
    if (type == MetricType::Counter)
      metric.counter.value = value;
    else
      metric.gauge.value = value;
  }

  const EngineStats& stats_;
  const std::string& model_name_;
  std::vector<MetricFamily> families_;
};

}  // namespace

std::vector<MetricFamily> engine_metrics(const EngineStats& stats, const std::string& model_name) {
  Collector collector(stats, model_name);
  for (const auto& scalar : scalars) collector.add(scalar);
  collector.add("pippin:kv_pages", "KV pages by what they hold.", gauge, "state", page_states);
  collector.add("pippin:window_pages", "Pages of layers with a window, where these are apart.",
                gauge, "state", window_page_states);
  collector.add("pippin:memory_budget_bytes", "What the engine's memory is set aside for.", gauge,
                "part", memory_parts);
  collector.add("pippin:prefix_lookups_total",
                "Admitted prompts by how far the page cache knew them.", counter, "result",
                prefix_results);
  collector.add("pippin:iteration_tokens_total", "Tokens computed in a step.", stats.step.rows);
  collector.add("pippin:batch_sequences", "Requests in a step.", stats.step.sequences);
  collector.add("pippin:step_host_seconds",
                "Of a step: scheduling, laying out, handing tokens out, as far as the device "
                "waited for it.",
                stats.step.host_seconds);
  collector.add("pippin:step_device_seconds", "Of a step: encoder, forward, sampling.",
                stats.step.device_seconds);
  return collector.take();
}

namespace {

MetricFamily one_of(const std::string& model_name, const char* name, const char* help,
                    MetricType type, std::int64_t value) {
  ClientMetric one;
  one.label.push_back({"model_name", model_name});
  (type == counter ? one.counter.value : one.gauge.value) = number(value);
  return {name, help, type, {std::move(one)}};
}

}  // namespace

std::vector<MetricFamily> pool_metrics(const ModelMetrics& model, const std::string& model_name) {
  return {one_of(model_name, "pippin:model_loaded", "1 for a model that is loaded, else 0.", gauge,
                 model.loaded ? 1 : 0),
          one_of(model_name, "pippin:model_loads_total", "Times that the model was loaded.",
                 counter, model.loads),
          one_of(model_name, "pippin:model_load_failures_total",
                 "Times that the model could not be loaded.", counter, model.failures),
          one_of(model_name, "pippin:model_requests_waiting",
                 "Requests that wait until the model is loaded.", gauge, model.waiting)};
}

std::vector<MetricFamily> body_metrics(const BodyStats& bodies, const std::string& model_name) {
  return {one_of(model_name, "pippin:request_body_bytes",
                 "Bodies of requests that are not read yet.", gauge, bodies.bytes),
          one_of(model_name, "pippin:request_bodies_refused_total",
                 "Requests without room for their body.", counter, bodies.refused)};
}

}  // namespace pippin::server
