#include "server/ollama/reply.h"

#include <spdlog/fmt/fmt.h>

#include <ctime>
#include <utility>

#include "server/chat/token_reply.h"
#include "server/http/errors.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

using std::chrono::steady_clock;

std::int64_t nanoseconds(steady_clock::duration time) {
  return std::max<std::int64_t>(0,
                                std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
}

// What was cut off or is malformed is no object.
json::value arguments_of(const ToolCallDelta& call) {
  try {
    json::value arguments = parse_json(call.arguments.empty() ? "{}" : call.arguments, "arguments");
    if (arguments.is_object()) return arguments;
  } catch (const Error&) {
  }
  return json::object();
}

json::array calls_array(const std::vector<ToolCallDelta>& calls) {
  json::array all;
  for (const ToolCallDelta& call : calls)
    all.push_back({{"id", valid_utf8(call.id)},
                   {"function",
                    {{"index", call.index},
                     {"name", valid_utf8(call.name)},
                     {"arguments", arguments_of(call)}}}});
  return all;
}

json::object message_object(OllamaReply::Kind kind, const std::string& text,
                            const std::string& thinking, const std::vector<ToolCallDelta>& calls) {
  json::object object;
  if (kind == OllamaReply::Kind::generate) {
    object["response"] = valid_utf8(text);
    if (!thinking.empty()) object["thinking"] = valid_utf8(thinking);
    return object;
  }
  json::object message{{"role", "assistant"}, {"content", valid_utf8(text)}};
  if (!thinking.empty()) message["thinking"] = valid_utf8(thinking);
  if (!calls.empty()) message["tool_calls"] = calls_array(calls);
  object["message"] = std::move(message);
  return object;
}

json::object head(const std::string& model, json::object members) {
  json::object object{{"model", valid_utf8(model)},
                      {"created_at", ollama_time(std::chrono::system_clock::now())}};
  for (auto& member : members) object[member.key()] = std::move(member.value());
  object["done"] = false;
  return object;
}

std::string line(const json::object& object) { return json::serialize(object) + "\n"; }

}  // namespace

std::string ollama_time(std::chrono::system_clock::time_point time) {
  const auto micros =
      std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  const auto seconds = static_cast<std::time_t>(micros / 1'000'000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  const std::string date(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc));
  return fmt::format("{}.{:06}Z", date, micros % 1'000'000);
}

OllamaReply::OllamaReply(Kind kind, std::string model, bool logprobs)
    : kind_(kind), model_(std::move(model)), logprobs_(logprobs), begun_(steady_clock::now()) {}

// Its clients read every line: one that says nothing keeps proxies from closing a quiet stream.
StreamForm OllamaReply::form() const {
  return {"application/x-ndjson", line(head(model_, message_object(kind_, "", "", {})))};
}

json::object OllamaReply::part(const std::string& text, const std::string& thinking,
                               std::vector<ToolCallDelta> calls) const {
  return head(model_, message_object(kind_, text, thinking, std::move(calls)));
}

void OllamaReply::add_logprobs(json::object& object, const std::vector<AnswerToken>& tokens) const {
  if (logprobs_ && !tokens.empty())
    object["logprobs"] = chat_logprobs(tokens, TokenName::text).at("content");
}

void OllamaReply::fold(std::size_t, const ChatEvent& event) {
  answer_.add(event);
  const Time unset{};
  if (event.at == unset) return;
  if (first_token_ == unset) first_token_ = event.at;
  last_token_ = event.at;
}

// All calls but the last are whole.
std::string OllamaReply::add(std::size_t choice, const ChatEvent& event) {
  fold(choice, event);
  answer_.text.clear();
  answer_.reasoning.clear();
  answer_.tokens.clear();
  auto& calls = answer_.tool_calls;
  const auto whole = event.finish ? calls.size() : calls.empty() ? 0 : calls.size() - 1;
  const std::vector<ToolCallDelta> told(
      calls.begin() + static_cast<std::ptrdiff_t>(num_calls_told_),
      calls.begin() + static_cast<std::ptrdiff_t>(std::max(whole, num_calls_told_)));
  num_calls_told_ = std::max(whole, num_calls_told_);
  if (event.text.empty() && event.reasoning.empty() && told.empty() && event.tokens.empty())
    return {};
  json::object object = part(event.text, event.reasoning, told);
  add_logprobs(object, event.tokens);
  return line(object);
}

void OllamaReply::add_end(json::object& object) const {
  const auto now = steady_clock::now();
  const auto first = first_token_ == Time{} ? now : first_token_;
  object["done"] = true;
  object["done_reason"] = answer_.finish == FinishReason::length ? "length" : "stop";
  object["total_duration"] = nanoseconds(now - begun_);
  object["load_duration"] = 0;
  object["prompt_eval_count"] = answer_.usage.prompt_tokens;
  object["prompt_eval_duration"] = nanoseconds(first - begun_);
  object["eval_count"] = answer_.usage.completion_tokens;
  object["eval_duration"] = nanoseconds(last_token_ - first);
}

std::string OllamaReply::close() {
  json::object object = part("", "", {});
  add_end(object);
  return line(object);
}

std::string OllamaReply::fail(const Error& error) {
  return ollama_error_body(message_naming_field(error)) + "\n";
}

std::string OllamaReply::whole() {
  json::object object = part(answer_.text, answer_.reasoning, answer_.tool_calls);
  add_logprobs(object, answer_.tokens);
  add_end(object);
  return json::serialize(object);
}

std::string ollama_loaded(OllamaReply::Kind kind, const std::string& model,
                          const char* done_reason) {
  json::object object = head(model, message_object(kind, "", "", {}));
  object["done"] = true;
  object["done_reason"] = done_reason;
  return json::serialize(object);
}

}  // namespace pippin::server
