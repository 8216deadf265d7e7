#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "base/json.h"
#include "base/log_event.h"
#include "base/log_writer.h"
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

// The name of the logger that there is when events are written as JSON: its lines end with what it is given, the members.
constexpr const char* event_logger = "pippin events";

// What a log says of lines that it lost, as a logger's message.
using DroppedMessage = std::string (*)(std::int64_t);

std::string dropped_in_words(std::int64_t lines) {
  return fmt::format("[log] {} lines were dropped so far: nobody read them in time", lines);
}

std::string dropped_in_json(std::int64_t lines) {
  return fmt::format(R"("event":"log","dropped_lines":{})", lines);
}

// Never waits for the reader. Says how many lines were dropped once there is room again.
class WriterSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  WriterSink(std::shared_ptr<LogWriter> writer, DroppedMessage dropped_message)
      : writer_(std::move(writer)), dropped_message_(dropped_message) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (!write(message)) return;
    const std::int64_t dropped = writer_->num_dropped();
    if (dropped == std::exchange(told_, dropped)) return;
    const std::string text = dropped_message_(dropped);
    write({message.logger_name, spdlog::level::warn, text});
  }
  void flush_() override {}

 private:
  bool write(const spdlog::details::log_msg& message) {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    return writer_->write({line.data(), line.size()});
  }

  const std::shared_ptr<LogWriter> writer_;
  const DroppedMessage dropped_message_;
  std::int64_t told_ = 0;
};

std::shared_ptr<spdlog::logger> make_logger(const std::string& name, DroppedMessage dropped) {
  // All loggers share it: each has to know what room the others took.
  static const auto writer = std::make_shared<LogWriter>(STDERR_FILENO);
  spdlog::sink_ptr sink;
  if (::isatty(STDERR_FILENO) != 0)
    sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  else
    sink = std::make_shared<WriterSink>(writer, dropped);
  auto logger = std::make_shared<spdlog::logger>(name, std::move(sink));
  spdlog::initialize_logger(logger);
  return logger;
}

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
    spdlog::set_default_logger(make_logger("pippin", dropped_in_words));
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
                                                : make_logger(event_logger, dropped_in_json);
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
