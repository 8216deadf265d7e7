// The options of every command that loads a model.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <string>

#include "pippin/options.h"

namespace pippin {

/// Options counted in other units than the structs hold; copied over when parsing has ended.
struct EngineUnits {
  double kv_gb = 0;
  double cache_disk_gb = 10;
  std::int64_t media_cache_mb = -1;
  double memory_gb = 0;
  std::string dtype = "auto", kv_dtype = "auto", cpu_activations = "int8", gpu_kernels = "auto";
  bool no_prefix_cache = false;
  bool no_overlap = false;
  bool no_warmup = false;
};

void add_engine_options(CLI::App& app, EngineOptions& engine, EngineUnits& units);
void add_offline(CLI::App& app, bool& offline);
void finish_engine(EngineOptions& engine, const EngineUnits& units);

}  // namespace pippin
