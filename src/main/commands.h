// What the subcommands do. Each returns the process's exit status and throws Error.
#pragma once

#include <filesystem>

#include "main/command_line.h"

namespace pippin {

/// Serves until SIGINT or SIGTERM.
int serve(const ServeCommand& command, const std::filesystem::path& program);

/// Streams one answer to standard output.
int run(const RunCommand& command, const std::filesystem::path& program);

/// Prints speeds to standard output.
int bench(const BenchCommand& command, const std::filesystem::path& program);

}  // namespace pippin
