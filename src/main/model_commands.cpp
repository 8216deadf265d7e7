#include "main/model_commands.h"

#include "hub/name.h"
#include "main/agents.h"

namespace pippin {
namespace {

constexpr const char* name_help =
    "organization/name, organization/name@revision, organization/name:QUANTIZATION (GGUF) or a "
    "short name";

std::string list_of_short_names() {
  std::string text = "Short names:\n";
  for (const hub::ShortName& name : hub::short_names()) {
    std::string line = "  " + std::string(name.name);
    line.resize(22, ' ');
    text += line + name.repo + "\n";
  }
  return text;
}

}  // namespace

CLI::App* add_pull(CLI::App& app, PullCommand& pull) {
  CLI::App* command =
      app.add_subcommand("pull", "Fetch models, or what is new of them; print their directories");
  command->add_option("MODEL", pull.models, name_help)->type_name("")->required();
  command->footer(list_of_short_names());
  return command;
}

CLI::App* add_list(CLI::App& app, ListCommand& list) {
  CLI::App* command = app.add_subcommand("ls", "List the models that have been fetched");
  command->add_flag("--json", list.json, "Print JSON instead of a table");
  return command;
}

CLI::App* add_remove(CLI::App& app, RemoveCommand& remove) {
  CLI::App* command = app.add_subcommand("rm", "Remove fetched models, or revisions of them");
  command->add_option("MODEL", remove.models, name_help)->type_name("")->required();
  return command;
}

CLI::App* add_inspect(CLI::App& app, InspectCommand& inspect) {
  CLI::App* command =
      app.add_subcommand("inspect", "Say what a model is and whether it fits, without fetching it");
  command->add_option("MODEL", inspect.model, name_help)->type_name("")->required();
  command->add_flag("--offline", inspect.offline, "Ask no network");
  command
      ->add_option("--max-context", inspect.max_context,
                   "Longest prompt and answer together, in tokens [the model's]")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40).description(""));
  return command;
}

CLI::App* add_launch(CLI::App& app, LaunchCommand& launch) {
  CLI::App* command =
      app.add_subcommand("launch", "Start a coding agent on a model of this machine");
  command
      ->add_option("AGENT", launch.agent, "claude, codex, opencode or aider; it must be installed")
      ->type_name("")
      ->required()
      ->check(CLI::IsMember(agent_names()));
  command->add_option("MODEL", launch.model, "As serve takes it [what the server serves, or demo]")
      ->type_name("");
  command
      ->add_option("--url", launch.url, "The server, or where to start it [http://127.0.0.1:8000]")
      ->type_name("URL");
  command->add_option("--api-key", launch.api_key, "Its key; better by PIPPIN_API_KEY [none]")
      ->type_name("KEY")
      ->envname("PIPPIN_API_KEY");
  command->add_flag("--offline", launch.offline, "Ask no hub for a model");
  command->add_flag("--print", launch.print, "Print what the agent would get, and start nothing");
  command->footer(
      "Examples:\n"
      "  pippin launch claude qwen3-4b-instruct\n"
      "  pippin launch codex -- --full-auto        what stands behind -- is the agent's\n");
  return command;
}

}  // namespace pippin
