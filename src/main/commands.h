// What the subcommands do. Each returns the process's exit status and throws Error.
#pragma once

#include <filesystem>

#include "main/command_line.h"

namespace pippin {

/// Serves until SIGINT or SIGTERM.
int serve(const ServeCommand& command, const std::filesystem::path& program);

/// Streams one answer to standard output.
int run(const RunCommand& command, const std::filesystem::path& program);

/// A chat on standard input and output.
int chat(const ChatCommand& command, const std::filesystem::path& program);

/// Fetches models and prints their directories.
int pull(const PullCommand& command);

/// Prints the models that have been fetched.
int list_models(const ListCommand& command);

int remove_models(const RemoveCommand& command);

/// Prints what a model is.
int inspect(const InspectCommand& command, const std::filesystem::path& program);

/// Starts a coding agent on a server, and that where none runs. Returns the agent's status.
int launch(const LaunchCommand& command, const std::filesystem::path& program);
/// Sends made-up traffic to a server of the OpenAI API, and prints what its users would have seen.
int bench_serve(const BenchServeCommand& command);

/// Writes a model in MLX's layout.
int convert(const ConvertCommand& command, const std::filesystem::path& program);

/// Prints speeds to standard output.
int bench(const BenchCommand& command, const std::filesystem::path& program);

/// Prints how our GPU kernels do beside MLX's operations, and two speeds. 1 where one of them is wrong.
int check_gpu(const CheckGpuCommand& command, const std::filesystem::path& program);

}  // namespace pippin
