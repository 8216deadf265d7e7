#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

#include <mutex>

#include "pippin/error.h"

namespace pippin {

void init_default_log() {
  static std::once_flag once;
  std::call_once(once, [] {
    spdlog::set_default_logger(spdlog::stderr_color_mt("pippin"));
    spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  });
}

void init_log(const std::string& level) {
  const auto parsed = spdlog::level::from_str(level);
  if (parsed == spdlog::level::off && level != "off")
    throw Error(
        Code::invalid_argument,
        "[log] level must be trace, debug, info, warning, error or off, got '" + level + "'");
  init_default_log();
  spdlog::set_level(parsed);
}

}  // namespace pippin
