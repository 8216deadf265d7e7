// The manual page, from the same source as --help.
#pragma once

#include <string>

#include "main/command_docs.h"

namespace pippin {

/// In the macros of man(7). `program` is the program with all of its commands.
std::string man_page(const CommandDoc& program, const std::string& version);

}  // namespace pippin
