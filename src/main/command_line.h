// The command line: what the user asked for, as options structs.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "load/driver.h"
#include "load/workload.h"
#include "main/command_docs.h"
#include "models/convert.h"
#include "pippin/options.h"
#include "pippin/request.h"
#include "server/access.h"
#include "server/api.h"
#include "server/http/server.h"

namespace pippin {

/// Options of engines, read from words such as "--kv-bits", "8" over those of the command line. Throws Error(invalid_argument).
using EngineOptionsFrom = std::function<EngineOptions(const std::vector<std::string>& words)>;

/// pippin serve [MODEL ...]
struct ServeCommand {
  std::vector<std::string> models;  ///< none only where a folder or a file has some
  std::string models_dir, models_file;
  double idle_unload_s = 0;  ///< 0: models stay loaded
  int max_loaded = 0;        ///< 0: as many as the memory holds
  EngineOptionsFrom engine_options;
  bool offline = false;  ///< ask no hub
  EngineOptions engine;
  server::HttpOptions http;
  server::ApiOptions api;
  server::AccessOptions access;
  std::string api_key_file, admin_key_file;  ///< further keys, one a line; empty for none
  /// Time that running answers get to end after SIGTERM.
  std::chrono::seconds drain{30};
  std::string trace;  ///< file for a trace of steps and requests; empty for none
  /// Every so manyth step fails, as if memory had run out; 0: none does.
  std::int64_t fail_every = 0;
};

/// What run and chat have in common.
struct AnswerCommand {
  std::string model = "demo";
  bool offline = false;  ///< ask no hub
  bool quiet =
      true;  ///< the user has chosen no log level: only warnings are logged beside an answer
  std::string system;  ///< empty for none
  /// What the user chose; the model's recommendation holds for the rest.
  std::optional<float> temperature, top_p, min_p;
  std::optional<int> top_k;
  std::optional<std::uint64_t> seed;
  StopOptions stop;
  EngineOptions engine;
};

/// pippin run MODEL PROMPT [--image F]... [--video F]...
struct RunCommand : AnswerCommand {
  std::string prompt;               ///< empty: read from standard input
  std::vector<std::string> images;  ///< files or URLs, put before the prompt
  std::vector<std::string> videos;  ///< the same, after the images
  bool stats = false;               ///< print tokens and speed to standard error at the end
};

/// pippin chat [MODEL]
struct ChatCommand : AnswerCommand {
  std::string load;         ///< file of a saved chat to go on with; empty for none
  bool no_history = false;  ///< keep nothing of what is typed
};

/// pippin pull NAME...
struct PullCommand {
  std::vector<std::string> models;
};

/// pippin ls
struct ListCommand {
  bool json = false;
};

/// pippin rm NAME...
struct RemoveCommand {
  std::vector<std::string> models;
};

/// pippin inspect NAME
struct InspectCommand {
  std::string model;
  bool offline = false;
  std::int64_t max_context = 0;  ///< tokens; 0: the model's
};

/// pippin launch AGENT [MODEL] [-- ARGUMENTS]
struct LaunchCommand {
  std::string agent;  ///< see agent_names
  std::string model;  ///< empty: what a server that runs serves first, else the built-in one
  std::string url = "http://127.0.0.1:8000";
  std::string api_key;  ///< empty for none
  bool offline = false;
  bool print = false;                  ///< what the agent would get, instead of starting anything
  std::vector<std::string> arguments;  ///< for the agent
};

/// pippin bench [MODEL]
struct BenchCommand {
  std::string model = "demo";
  bool offline = false;  ///< ask no hub
  std::vector<int> batches{1, 4, 16};
  std::vector<int> prompts{128, 512};  ///< tokens
  int new_tokens = 64;
  int image = 0;         ///< side in pixels of pictures to measure instead; 0 for none
  int repeats = 1;       ///< the best one counts
  bool json = false;     ///< instead of a table
  bool profile = false;  ///< also the time of each kind of operation
  float temperature = 0, top_p = 1;
  int top_k = 0;
  EngineOptions engine;
};

/// pippin check-gpu [MODEL]
struct CheckGpuCommand {
  std::string model = "demo";
  bool offline = false;  ///< ask no hub
  EngineOptions engine;
};

/// pippin bench-serve [URL]
struct BenchServeCommand {
  WorkloadOptions workload;
  LoadOptions load;
  std::string slo;        ///< see ServiceLevels::parse
  std::string json_file;  ///< empty for none
  std::string plot_file;  ///< empty for none
};

/// pippin convert SRC DST
struct ConvertCommand {
  std::string source, destination;
  models::ConvertOptions options;
};

struct CommandLine {
  std::string log_level = "info";
  std::string log_format = "text";
  using Command = std::variant<ServeCommand, RunCommand, ChatCommand, PullCommand, ListCommand,
                               RemoveCommand, InspectCommand, LaunchCommand, ConvertCommand,
                               BenchCommand, CheckGpuCommand, BenchServeCommand>;
  Command command;
};

/// Parses the arguments. Where there is nothing to run (--help, --version, a mistake) it has printed what there is to say
/// and returns the exit status in `status`.
std::optional<CommandLine> parse_command_line(int argc, const char* const* argv, int& status);

/// The program with its commands and their options, as help, manual page and completions show them.
CommandDoc describe_program();

}  // namespace pippin
