// pippin COMMAND: arguments in, exit status out.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <new>
#include <string>
#include <system_error>
#include <variant>

#include "base/certificates.h"
#include "base/log.h"
#include "base/memory.h"
#include "main/command_line.h"
#include "main/commands.h"
#include "main/model_dir.h"

namespace {

// What each command's options run.
struct Dispatch {
  int operator()(const pippin::ServeCommand& command) const { return serve(command, program); }
  int operator()(const pippin::RunCommand& command) const { return run(command, program); }
  int operator()(const pippin::ChatCommand& command) const { return chat(command, program); }
  int operator()(const pippin::PullCommand& command) const { return pull(command); }
  int operator()(const pippin::ListCommand& command) const { return list_models(command); }
  int operator()(const pippin::RemoveCommand& command) const { return remove_models(command); }
  int operator()(const pippin::InspectCommand& command) const { return inspect(command, program); }
  int operator()(const pippin::LaunchCommand& command) const { return launch(command, program); }
  int operator()(const pippin::ConvertCommand& command) const { return convert(command, program); }
  int operator()(const pippin::BenchCommand& command) const { return bench(command, program); }
  int operator()(const pippin::CheckGpuCommand& command) const {
    return check_gpu(command, program);
  }
  int operator()(const pippin::BenchServeCommand& command) const { return bench_serve(command); }

  const std::filesystem::path program;
};

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
  pippin::prepare_heap();
  int status = EXIT_SUCCESS;
  const auto line = pippin::parse_command_line(argc, argv, status);
  if (!line) return status;
  pippin::find_certificates();
  pippin::init_log(line->log_level,
                   line->log_format == "json" ? pippin::LogFormat::json : pippin::LogFormat::text);
  return std::visit(Dispatch{pippin::program_path(argv[0])}, line->command);
} catch (const std::exception& error) {
  fail(error);
}
