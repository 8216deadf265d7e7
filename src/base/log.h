// The process's one logger (stderr). The only global of the program.
#pragma once

#include <spdlog/spdlog.h>

#include <string>

namespace pippin {

/// Sends the log to stderr where init_log has not been called; the library must not write to a program's stdout.
void init_default_log();

/// Sends the log to stderr, one line a record with milliseconds, at `level`
/// (trace|debug|info|warning|error|off). Throws Error(invalid_argument) on another level name.
/// Prompts and answers are never logged, but for the page of tokens where a conversation's cache broke (engine/cache_break).
void init_log(const std::string& level);

}  // namespace pippin
