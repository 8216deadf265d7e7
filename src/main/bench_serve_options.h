// Options of bench-serve.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

#include "main/command_line.h"

namespace pippin {

/// Options in another form than the structs hold; copied over when parsing has ended.
struct BenchServeUnits {
  std::string prompt_tokens = "128", output_tokens = "64";
  bool no_stream = false;
};

CLI::App* add_bench_serve(CLI::App& app, BenchServeCommand& bench, BenchServeUnits& units);
void finish_bench_serve(BenchServeCommand& bench, const BenchServeUnits& units);

}  // namespace pippin
