#include "load/answer_reader.h"

#include <utility>

namespace pippin {
namespace {

// Null where the path leads nowhere; what a server sends is not to be trusted.
const json::value* member(const json::value* value, std::string_view key) {
  const json::object* object = value ? value->if_object() : nullptr;
  return object ? object->if_contains(key) : nullptr;
}

const json::value* first_choice(const json::value& answer) {
  const json::value* choices = member(&answer, "choices");
  const json::array* list = choices ? choices->if_array() : nullptr;
  return list && !list->empty() ? &list->front() : nullptr;
}

std::string_view string_of(const json::value* value) {
  const json::string* text = value ? value->if_string() : nullptr;
  return text ? std::string_view(*text) : std::string_view{};
}

std::int64_t integer_of(const json::value* value) {
  const std::int64_t* number = value ? value->if_int64() : nullptr;
  return number ? *number : 0;
}

bool is_set(const json::value* value) { return value && !value->is_null(); }

// Text, reasoning (under either name) or a piece of a call.
bool says_something(const json::value* delta) {
  for (const char* key : {"content", "reasoning_content", "reasoning"})
    if (!string_of(member(delta, key)).empty()) return true;
  return is_set(member(delta, "tool_calls"));
}

std::string kind_of(const std::string& failure) {
  const auto has = [&](const char* word) { return failure.find(word) != std::string::npos; };
  if (has("Timeout")) return "timeout";
  if (has("connect") || has("resolve")) return "connection failed";
  return "cut off";
}

}  // namespace

void AnswerReader::fail(std::string kind) {
  if (result_.error.empty()) result_.error = std::move(kind);
}

void AnswerReader::feed(std::string_view bytes, double now) {
  buffer_ += bytes;
  if (!streamed_) return;
  std::size_t begin = 0;
  for (std::size_t end; (end = buffer_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    std::string_view line = std::string_view(buffer_).substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.starts_with("data:")) continue;
    line.remove_prefix(line.starts_with("data: ") ? 6 : 5);
    take_event(line, now);
  }
  buffer_.erase(0, begin);
}

void AnswerReader::take_event(std::string_view data, double now) {
  if (data == "[DONE]") {
    done_ = true;
    return;
  }
  boost::system::error_code error;
  const json::value event = json::parse(data, error);
  if (error || !event.is_object()) return fail("malformed answer");
  if (is_set(member(&event, "error"))) return fail("error in the stream");
  take_usage(event.as_object());
  const json::value* delta = member(first_choice(event), "delta");
  if (!says_something(delta)) return;
  text_ += string_of(member(delta, "content"));
  take_piece(now);
}

void AnswerReader::take_piece(double now) {
  if (num_pieces_++ == 0)
    result_.first = now;
  else
    result_.gaps.push_back(now - last_);
  last_ = now;
}

void AnswerReader::take_usage(const json::object& answer) {
  const json::value* usage = answer.if_contains("usage");
  if (!is_set(usage)) return;
  result_.has_usage = true;
  result_.prompt_tokens = integer_of(member(usage, "prompt_tokens"));
  result_.output_tokens = integer_of(member(usage, "completion_tokens"));
  result_.cached_tokens =
      integer_of(member(member(usage, "prompt_tokens_details"), "cached_tokens"));
}

void AnswerReader::take_whole() {
  boost::system::error_code error;
  const json::value answer = json::parse(buffer_, error);
  const json::value* message = error ? nullptr : member(first_choice(answer), "message");
  if (!message) return fail("malformed answer");
  take_usage(answer.as_object());
  text_ = string_of(member(message, "content"));
}

RequestResult AnswerReader::finish(int status, const std::string& failure, double now) {
  result_.ended = now;
  if (status == 0)
    fail(kind_of(failure));
  else if (status != 200)
    fail("http " + std::to_string(status));
  else if (!streamed_)
    take_whole();
  else if (!done_)
    fail("cut off");
  if (!result_.has_usage) result_.output_tokens = num_pieces_;
  return std::move(result_);
}

}  // namespace pippin
