#include "main/model_commands.h"

#include "hub/name.h"

namespace pippin {
namespace {

constexpr const char* name_help = "organization/name, organization/name@revision or a short name";

std::string list_of_short_names() {
  std::string text = "Short names:\n";
  for (const hub::ShortName& name : hub::short_names()) {
    std::string line = "  " + std::string(name.name);
    line.resize(22, ' ');
    text += line + name.repo + "\n";
  }
  return text +
         "\nModels lie in the cache of Python's huggingface_hub: HF_HOME and HF_HUB_CACHE say "
         "where. "
         "HF_TOKEN is shown\nto the hub for models that want one; HF_ENDPOINT names another hub.";
}

}  // namespace

CLI::App* add_pull(CLI::App& app, PullCommand& pull) {
  CLI::App* command = app.add_subcommand(
      "pull", "Fetch models from a hub, or what is new of them; print their directories");
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
  CLI::App* command = app.add_subcommand(
      "inspect", "Say what a model is and whether it fits, without fetching or loading it");
  command->add_option("MODEL", inspect.model, name_help)->type_name("")->required();
  command->add_flag("--offline", inspect.offline, "Ask no network");
  command
      ->add_option("--max-context", inspect.max_context,
                   "Longest prompt and answer together, in tokens [the model's]")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40).description(""));
  return command;
}

}  // namespace pippin
