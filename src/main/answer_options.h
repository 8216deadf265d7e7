// The options of `pippin run`, `pippin chat` and `pippin bench`.
#pragma once

#include <CLI/CLI.hpp>

#include "main/command_line.h"
#include "main/engine_options.h"

namespace pippin {

CLI::App* add_run(CLI::App& app, RunCommand& run, EngineUnits& units);
CLI::App* add_chat(CLI::App& app, ChatCommand& chat, EngineUnits& units);
CLI::App* add_bench(CLI::App& app, BenchCommand& bench, EngineUnits& units);
CLI::App* add_check_gpu(CLI::App& app, CheckGpuCommand& check, EngineUnits& units);

}  // namespace pippin
