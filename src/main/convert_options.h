// Options of convert.
#pragma once

#include <CLI/CLI.hpp>

#include "main/command_line.h"

namespace pippin {

CLI::App* add_convert(CLI::App& app, ConvertCommand& convert);

}  // namespace pippin
