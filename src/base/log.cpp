#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <memory>
#include <mutex>
#include <utility>

#include "base/json.h"
#include "base/log_event.h"
#include "pippin/error.h"

namespace pippin {
namespace {

constexpr const char* json_head = R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",)";

// The message as a JSON string.
class QuotedMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const std::string text =
        json::serialize(json::string(message.payload.data(), message.payload.size()));
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<QuotedMessage>();
  }
};

std::unique_ptr<spdlog::formatter> json_formatter(const std::string& rest) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<QuotedMessage>('Q').set_pattern(json_head + rest);
  return formatter;
}

// Of the logger that there is when events are written as JSON: its lines end with what it is given, the members.
constexpr const char* event_logger = "pippin events";

bool is_plain(const std::string& text) {
  return !text.empty() && text.find_first_of(" =\"\n") == std::string::npos;
}

std::string as_word(const json::value& value) {
  if (value.is_string() && is_plain(std::string(value.as_string())))
    return std::string(value.as_string());
  // 34918.3, where JSON is written as 3.49183E4.
  if (value.is_double()) return fmt::format("{}", value.as_double());
  return json::serialize(value);
}

// "key=value key="two words"", for people and for grep.
std::string as_words(const json::object& values) {
  std::string out;
  for (const auto& [key, value] : values) {
    if (value.is_null()) continue;
    out += ' ';
    out.append(key.data(), key.size());
    out += '=' + as_word(value);
  }
  return out;
}

}  // namespace

void init_default_log() {
  static std::once_flag once;
  std::call_once(once, [] {
    spdlog::set_default_logger(spdlog::stderr_color_mt("pippin"));
    spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  });
}

void init_log(const std::string& level, LogFormat format) {
  const auto parsed = spdlog::level::from_str(level);
  if (parsed == spdlog::level::off && level != "off")
    throw Error(
        Code::invalid_argument,
        "[log] level must be trace, debug, info, warning, error or off, got '" + level + "'");
  init_default_log();
  spdlog::set_level(parsed);
  if (format == LogFormat::text) return;
  spdlog::default_logger()->set_formatter(json_formatter(R"("message":%Q})"));
  const auto events = spdlog::get(event_logger) ? spdlog::get(event_logger)
                                                : spdlog::stderr_logger_mt(event_logger);
  events->set_formatter(json_formatter("%v}"));
  events->set_level(parsed);
}

void log_event(spdlog::level::level_enum level, const std::string& event,
               const json::object& values) {
  const auto as_json = spdlog::get(event_logger);
  if (!as_json) return spdlog::log(level, "[{}]{}", event, as_words(values));
  if (!as_json->should_log(level)) return;
  json::object members{{"event", event}};
  for (const auto& [key, value] : values) members[key] = value;
  const std::string text = json::serialize(members);
  as_json->log(level, "{}", std::string_view(text).substr(1, text.size() - 2));
}

}  // namespace pippin
