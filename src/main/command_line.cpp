#include "main/command_line.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

#include "main/answer_options.h"
#include "main/bench_serve_options.h"
#include "main/completion.h"
#include "main/convert_options.h"
#include "main/help.h"
#include "main/man_page.h"
#include "main/model_commands.h"
#include "main/option_group.h"
#include "main/serve_options.h"
#include "pippin/error.h"

namespace pippin {
namespace {

constexpr const char* footer =
    "Examples:\n"
    "  pippin chat qwen3-0.6b                  a chat; the model is fetched first\n"
    "  pippin serve                            the built-in model at 127.0.0.1:8000\n"
    "  pippin serve mlx-community/Qwen3-0.6B-4bit --port 9000\n"
    "  pippin run demo \"What is in the picture?\" --image picture.png\n"
    "  git diff | pippin run qwen3-4b          a prompt from standard input\n"
    "  pippin bench ~/models/Qwen3-0.6B-4bit --batch 1,8\n"
    "  pippin bench-serve http://127.0.0.1:8000/v1 --rate 2 --slo ttft=1000\n"
    "  pippin convert ~/models/Qwen3-0.6B ~/models/Qwen3-0.6B-4bit --bits 4\n"
    "Environment variables:\n"
    "  HF_HOME, HF_HUB_CACHE    where fetched models are [~/.cache/huggingface]\n"
    "  HF_TOKEN, HF_TOKEN_PATH  token for gated and private models [HF_HOME/token]\n"
    "  HF_ENDPOINT              URL of the hub [https://huggingface.co]\n"
    "  HF_HUB_OFFLINE           1: ask no hub\n"
    "  HF_HUB_DOWNLOAD_TIMEOUT  seconds of silence that end a connection [10]\n"
    "  PIPPIN_API_KEYS          keys of serve, with commas (see --api-key)\n";

// The last word before it is asked for in a shell.
constexpr std::string_view complete_command = "__complete";

// "--help TOPIC" as CLI11 wants what may be left out: "--help=TOPIC".
std::vector<std::string> with_topic_joined(std::vector<std::string> words) {
  for (std::size_t i = 0; i + 1 < words.size() && words[i] != "--"; ++i) {
    if ((words[i] != "--help" && words[i] != "-h") || words[i + 1].starts_with('-')) continue;
    words[i] = "--help=" + words[i + 1];
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(i) + 1);
  }
  return words;
}

// What stands behind "--", which is another program's; `words` loses it.
std::vector<std::string> cut_behind_dashes(std::vector<std::string>& words) {
  const auto dashes = std::find(words.begin(), words.end(), "--");
  if (dashes == words.end()) return {};
  std::vector<std::string> behind(dashes + 1, words.end());
  words.erase(dashes, words.end());
  return behind;
}

class Parser {
 public:
  Parser() {
    app_.set_help_flag("");  // commands would inherit it
    app_.set_version_flag("--version", std::string("pippin ") + PIPPIN_VERSION, "The version");
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.footer(footer);
    app_.failure_message([](const CLI::App*, const CLI::Error& error) {
      return std::string(error.what()) + "\nRun with --help for more information.\n";
    });
    add_log_options();
    add_commands();
    for (CLI::App* command : app_.get_subcommands([](CLI::App*) { return true; }))
      add_help(*command);
    add_help(app_);
  }

  CommandDoc docs() const { return describe(app_); }

  std::optional<CommandLine> parse(std::vector<std::string> words, int& status) {
    status = 0;
    if (words.empty()) words.emplace_back("--help");
    if (words[0] == complete_command) {
      words.erase(words.begin(), words.begin() + (words.size() > 1 && words[1] == "--" ? 2 : 1));
      std::cout << print(complete(describe(app_), words, known_models));
      return {};
    }
    if (!words[0].starts_with('-') && !describe(app_).find(words[0])) {
      refuse(words[0]);
      status = 2;
      return {};
    }
    if (words[0] == "launch") launch_.arguments = cut_behind_dashes(words);
    return parse_words(with_topic_joined(std::move(words)), status);
  }

 private:
  void add_log_options() {
    OptionGroup group(app_, "Logging: what is logged, and how");
    log_level_ = group.choice("--log-level", line_.log_level,
                              {"trace", "debug", "info", "warning", "error", "off"},
                              "trace, debug, info, warning, error or off [info]");
    group.choice("--log-format", line_.log_format, {"text", "json"},
                 "text, or json: an object a line [text]");
  }

  using Finish = std::function<std::optional<CommandLine::Command>()>;

  void add(const CLI::App* command, Finish finish) {
    commands_.emplace_back(command, std::move(finish));
  }

  void add_commands() {
    add(add_serve(app_, serve_, serve_units_), [this] {
      finish_serve(serve_, serve_units_);
      return std::move(serve_);
    });
    add(add_run(app_, run_, run_units_), [this] {
      finish_engine(run_.engine, run_units_);
      run_.quiet = log_level_->empty();
      return std::move(run_);
    });
    add(add_chat(app_, chat_, chat_units_), [this] {
      finish_engine(chat_.engine, chat_units_);
      chat_.quiet = log_level_->empty();
      return std::move(chat_);
    });
    add(add_pull(app_, pull_), [this] { return std::move(pull_); });
    add(add_list(app_, list_), [this] { return list_; });
    add(add_remove(app_, remove_), [this] { return std::move(remove_); });
    add(add_inspect(app_, inspect_), [this] { return std::move(inspect_); });
    add(add_launch(app_, launch_), [this] {
      while (launch_.url.ends_with('/')) launch_.url.pop_back();
      return std::move(launch_);
    });
    add(add_convert(app_, convert_), [this] { return std::move(convert_); });
    add(add_bench(app_, bench_, bench_units_), [this] {
      finish_engine(bench_.engine, bench_units_);
      return std::move(bench_);
    });
    add(add_check_gpu(app_, check_gpu_, check_units_), [this] {
      finish_engine(check_gpu_.engine, check_units_);
      return std::move(check_gpu_);
    });
    add(add_bench_serve(app_, bench_serve_, load_units_), [this] {
      finish_bench_serve(bench_serve_, load_units_);
      return std::move(bench_serve_);
    });
    add_documents();
  }

  // Commands that print what the parser knows; nothing is left to run then.
  void add_documents() {
    CLI::App* completions =
        app_.add_subcommand("completions", "Print the script that completes pippin's commands");
    completions->add_option("SHELL", shell_, "bash, fish or zsh")
        ->required()
        ->check(CLI::IsMember({"bash", "fish", "zsh"}));
    completions->footer(
        "Examples:\n"
        "  eval \"$(pippin completions bash)\"        in ~/.bashrc\n"
        "  eval \"$(pippin completions zsh)\"         in ~/.zshrc, behind compinit\n"
        "  pippin completions fish | source         in ~/.config/fish/config.fish\n");
    add(completions, [this] { return print_document(completion_script(shell_)); });
    const CLI::App* manual =
        app_.add_subcommand("man", "Print the manual page: pippin man | man -l -");
    add(manual, [this] { return print_document(man_page(describe(app_), PIPPIN_VERSION)); });
  }

  static std::optional<CommandLine::Command> print_document(const std::string& text) {
    std::cout << text << std::flush;
    return {};
  }

  void refuse(const std::string& word) const {
    std::string known;
    for (const CommandDoc& command : describe(app_).commands)
      known += (known.empty() ? "" : ", ") + command.name.substr(command.name.rfind(' ') + 1);
    std::cerr << "There is no command '" << word << "', but " << known
              << ".\nRun with --help for more information.\n";
  }

  std::optional<CommandLine> parse_words(std::vector<std::string> words, int& status) {
    std::reverse(words.begin(), words.end());  // as CLI11 takes them
    try {
      app_.parse(std::move(words));
    } catch (const CLI::ParseError& error) {
      // CLI11's own statuses are all different; a script only wants to know whether the usage was wrong.
      status = app_.exit(error) == 0 ? 0 : 2;
      return {};
    } catch (const Error& error) {  // of --help
      std::cerr << error.what() << '\n';
      status = 2;
      return {};
    }
    for (const auto& [command, finish] : commands_) {
      if (!command->parsed()) continue;
      auto finished = finish();
      if (!finished) return {};
      line_.command = std::move(*finished);
    }
    return std::move(line_);
  }

  CLI::App app_{"Language and vision-language models on your own machine", "pippin"};
  CommandLine line_;
  ServeCommand serve_;
  RunCommand run_;
  ChatCommand chat_;
  PullCommand pull_;
  ListCommand list_;
  RemoveCommand remove_;
  InspectCommand inspect_;
  LaunchCommand launch_;
  ConvertCommand convert_;
  BenchCommand bench_;
  CheckGpuCommand check_gpu_;
  BenchServeCommand bench_serve_;
  ServeUnits serve_units_;
  EngineUnits run_units_, chat_units_, bench_units_, check_units_;
  BenchServeUnits load_units_;
  std::string shell_;
  const CLI::Option* log_level_ = nullptr;
  std::vector<std::pair<const CLI::App*, Finish>> commands_;
};

}  // namespace

std::optional<CommandLine> parse_command_line(int argc, const char* const* argv, int& status) {
  return Parser().parse({argv + std::min(argc, 1), argv + argc}, status);
}

CommandDoc describe_program() { return Parser().docs(); }

}  // namespace pippin
