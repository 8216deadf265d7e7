// What the subcommands do. Each returns the process's exit status and throws Error.
#pragma once

#include <filesystem>

#include "main/command_line.h"

namespace pippin {

/// Serves until SIGINT or SIGTERM.
int serve(const ServeCommand& command, const std::filesystem::path& program);

/// Streams one answer to standard output.
int run(const RunCommand& command, const std::filesystem::path& program);

/// Sends made-up traffic to a server of the OpenAI API, and prints what its users would have seen.
int bench_serve(const BenchServeCommand& command);

/// Prints speeds to standard output.
int bench(const BenchCommand& command, const std::filesystem::path& program);

}  // namespace pippin
