// The process's log (stderr). Its loggers are the only globals of the program.
#pragma once

#include <spdlog/spdlog.h>

#include <string>

namespace pippin {

enum class LogFormat {
  text,  ///< a time, a level and words
  json,  ///< an object a line: "time", "level", and "message" or the members of an event
};

/// Sends the log to stderr where init_log has not been called; the library must not write to a program's stdout.
void init_default_log();

/// Sends the log to stderr, one line a record with milliseconds, at `level`
/// (trace|debug|info|warning|error|off). Throws Error(invalid_argument) on another level name.
/// Prompts and answers are never logged, but for the page of tokens where a conversation's cache broke (engine/answer/cache_break).
void init_log(const std::string& level, LogFormat format = LogFormat::text);

}  // namespace pippin
