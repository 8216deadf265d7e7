// pippin serve | run | bench | bench-serve: arguments in, exit status out.
#include <cstdlib>
#include <exception>
#include <iostream>
#include <variant>

#include "base/log.h"
#include "main/command_line.h"
#include "main/commands.h"
#include "main/model_dir.h"

namespace {

using pippin::BenchCommand;
using pippin::BenchServeCommand;
using pippin::RunCommand;
using pippin::ServeCommand;

int dispatch(const pippin::CommandLine& line, const std::filesystem::path& program) {
  if (const auto* command = std::get_if<ServeCommand>(&line.command))
    return serve(*command, program);
  if (const auto* command = std::get_if<RunCommand>(&line.command)) return run(*command, program);
  if (const auto* command = std::get_if<BenchServeCommand>(&line.command))
    return bench_serve(*command);
  return bench(std::get<BenchCommand>(line.command), program);
}

}  // namespace

int main(int argc, char** argv) try {
  int status = EXIT_SUCCESS;
  const auto line = pippin::parse_command_line(argc, argv, status);
  if (!line) return status;
  pippin::init_log(line->log_level,
                   line->log_format == "json" ? pippin::LogFormat::json : pippin::LogFormat::text);
  return dispatch(*line, pippin::program_path(argv[0]));
} catch (const std::exception& error) {
  std::cerr << "pippin: " << error.what() << '\n';
  return EXIT_FAILURE;
}
