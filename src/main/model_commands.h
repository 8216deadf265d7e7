// Options of the commands that keep models: pull, ls, rm, inspect.
#pragma once

#include <CLI/CLI.hpp>

#include "main/command_line.h"

namespace pippin {

CLI::App* add_pull(CLI::App& app, PullCommand& pull);
CLI::App* add_list(CLI::App& app, ListCommand& list);
CLI::App* add_remove(CLI::App& app, RemoveCommand& remove);
CLI::App* add_inspect(CLI::App& app, InspectCommand& inspect);
CLI::App* add_launch(CLI::App& app, LaunchCommand& launch);

}  // namespace pippin
