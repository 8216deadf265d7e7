// pippin COMMAND: arguments in, exit status out.
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <variant>

#include "base/log.h"
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
  int operator()(const pippin::BenchCommand& command) const { return bench(command, program); }
  int operator()(const pippin::BenchServeCommand& command) const { return bench_serve(command); }

  const std::filesystem::path program;
};

}  // namespace

int main(int argc, char** argv) try {
  int status = EXIT_SUCCESS;
  const auto line = pippin::parse_command_line(argc, argv, status);
  if (!line) return status;
  pippin::init_log(line->log_level,
                   line->log_format == "json" ? pippin::LogFormat::json : pippin::LogFormat::text);
  return std::visit(Dispatch{pippin::program_path(argv[0])}, line->command);
} catch (const std::exception& error) {
  std::cerr << "pippin: " << error.what() << '\n';
  return EXIT_FAILURE;
}
