// pippin serve | run | bench | bench-serve: arguments in, exit status out.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <system_error>
#include <variant>

#include "base/log.h"
#include "base/memory.h"
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

std::string memory_limit() {
  return std::to_string(pippin::memory_limit_bytes() >> 20) + " MB of memory or address space";
}

// What ends the program, in one line.
std::string reason(const std::exception& error) {
  const auto* system = dynamic_cast<const std::system_error*>(&error);
  const bool no_thread =
      system != nullptr && system->code() == std::errc::resource_unavailable_try_again;
  const bool no_memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
                         (system != nullptr && system->code() == std::errc::not_enough_memory);
  if (no_thread) return "the system gives no memory for one more thread; it has " + memory_limit();
  if (no_memory) return "there is not enough memory; the system has " + memory_limit();
  return error.what();
}

// Without destructors of libraries: OpenBLAS waits for its threads, and one of them for memory.
[[noreturn]] void fail(const std::exception& error) {
  std::cerr << ("pippin: " + reason(error) + '\n') << std::flush;
  std::fflush(nullptr);
  std::_Exit(EXIT_FAILURE);
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
  fail(error);
}
