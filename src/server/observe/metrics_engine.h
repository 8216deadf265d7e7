// The engine's counters as Prometheus' metrics.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "pippin/engine.h"
#include "server/observe/body_stats.h"
#include "server/observe/metrics.h"

namespace pippin::server {

/// One family a counter, gauge or histogram of the engine, all labelled with the model's name.
std::vector<prometheus::MetricFamily> engine_metrics(const EngineStats& stats,
                                                     const std::string& model_name);

/// Whether the model is loaded, and its loads.
std::vector<prometheus::MetricFamily> pool_metrics(const ModelMetrics& model,
                                                   const std::string& model_name);

/// Those of requests' bodies.
std::vector<prometheus::MetricFamily> body_metrics(const BodyStats& bodies,
                                                   const std::string& model_name);

}  // namespace pippin::server
