// Help in pages that fit a screen: a command's overview, and a page for each group of its options.
#pragma once

#include <string>

#include "main/command_docs.h"

namespace CLI {
class App;
}

namespace pippin {

/// A terminal's size where nobody has enlarged it.
inline constexpr std::size_t screen_lines = 24, screen_columns = 80;

/// Gives the program, or a command whose options are all declared, `--help [GROUP]`: it prints a page and ends the parsing with
/// CLI::Success.
void add_help(CLI::App& app);

/// `topic` empty: everything where that fits a screen, else what the groups are. Otherwise a group's key, the name of a command (of a
/// program), "examples" or "all". Throws Error(invalid_argument) naming what there is.
std::string help_page(const CommandDoc& doc, const std::string& topic);

}  // namespace pippin
