#include "text/parsers/literals.h"

#include <algorithm>
#include <array>

#include "base/json.h"
#include "pippin/error.h"

namespace pippin::text {

const LiteralStyle python_literals{{"\"\"\"", "'''", "\"", "'"}, true, false};
// Gemma 4's quote and FunctionGemma's.
const LiteralStyle gemma_literals{{"<|\"|>", "<escape>", "\""}, false, true};

namespace {

using Progress = LiteralReader::Progress;

// Nested deeper, JSON readers refuse it.
constexpr std::size_t max_depth = 60;

bool ends_word(char c) {
  return is_space(c) || std::string_view(",:()[]{}'\"=<").find(c) != std::string_view::npos;
}

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool is_json_number(std::string_view word) {
  try {
    return parse_json(word, "number").is_number();
  } catch (const Error&) {
    return false;
  }
}

std::string json_of_word(const std::string& word) {
  for (const auto& [python, json] :
       {std::pair{"True", "true"}, {"False", "false"}, {"None", "null"}})
    if (word == python || word == json) return json;
  if (is_json_number(word)) return word;
  std::string json = "\"";
  append_escaped(json, word);
  return json + '"';
}

}  // namespace

void append_escaped(std::string& json, std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      json += {'\\', c};
    else if (c == '\n')
      json += "\\n";
    else if (c == '\t')
      json += "\\t";
    else if (byte < 0x20)
      json += {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
    else
      json += c;
  }
}

std::optional<std::string> literal_to_json(std::string_view text) {
  Input input;
  input.append(text);
  input.close();
  std::string json;
  LiteralReader reader(python_literals);
  if (reader.read(input, json) != Progress::done) return std::nullopt;
  input.skip_space();
  return input.empty() ? std::optional(json) : std::nullopt;
}

Progress LiteralReader::read(Input& input, std::string& json) {
  while (state_ != State::done)
    if (const auto progress = step(input, json); progress != Progress::done) return progress;
  return Progress::done;
}

Progress LiteralReader::step(Input& input, std::string& json) {
  switch (state_) {
    case State::value:
      return read_value(input, json);
    case State::string:
      return read_string(input, json);
    case State::word:
      return read_word(input, json);
    case State::after_value:
      return read_after_value(input, json);
    case State::key:
      return read_key(input, json);
    case State::bare_key:
      return read_bare_key(input, json);
    case State::after_key:
      return read_after_key(input, json);
    case State::done:
      break;
  }
  return Progress::done;
}

std::optional<Progress> LiteralReader::begin_string(Input& input, std::string& json, bool key) {
  for (const auto quote : style_->quotes) {
    const auto match = input.at(quote);
    if (match == Input::Match::no) continue;
    if (match == Input::Match::maybe) return Progress::more;
    input.take(quote.size());
    begin_item(json);
    json += '"';
    quote_ = quote;
    in_key_ = key;
    state_ = State::string;
    return Progress::done;
  }
  return std::nullopt;
}

void LiteralReader::begin_item(std::string& json) {
  if (std::exchange(comma_due_, false)) json += ", ";
}

void LiteralReader::close(Input& input, std::string& json) {
  input.take_byte();
  json += open_.back() == '}' ? '}' : ']';
  open_.pop_back();
  comma_due_ = false;
  end_value();
}

Progress LiteralReader::read_value(Input& input, std::string& json) {
  input.skip_space();
  if (input.empty()) return Progress::more;
  if (const auto begun = begin_string(input, json, false)) return *begun;
  const char c = input.front();
  const bool in_list = !open_.empty() && open_.back() != '}';
  if (in_list && c == open_.back()) {  // empty, or a comma before the end
    close(input, json);
    return Progress::done;
  }
  if (c == '[' || c == '(' || c == '{') {
    if (open_.size() >= max_depth) return Progress::broken;
    input.take_byte();
    begin_item(json);
    json += c == '{' ? '{' : '[';
    open_ += c == '{' ? '}' : c == '[' ? ']' : ')';
    state_ = c == '{' ? State::key : State::value;
    return Progress::done;
  }
  if (ends_word(c)) return Progress::broken;
  begin_item(json);
  word_.clear();
  state_ = State::word;
  return Progress::done;
}

Progress LiteralReader::read_string(Input& input, std::string& json) {
  const std::array<std::string_view, 2> stops{quote_, "\\"};
  const auto found = input.find(std::span(stops).first(style_->escapes ? 2 : 1));
  append_escaped(json, input.take(found.before));
  if (!found.tag) return Progress::more;
  if (*found.tag == 1) return read_escape(input, json);
  input.take(quote_.size());
  json += '"';
  if (in_key_)
    state_ = State::after_key;
  else
    end_value();
  return Progress::done;
}

Progress LiteralReader::read_escape(Input& input, std::string& json) {
  const auto rest = input.rest();
  if (rest.size() < 2) return Progress::more;
  const char c = rest[1];
  const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 0;
  if (digits > 0) {
    const auto code = rest.substr(2, digits);
    const bool hex = std::all_of(code.begin(), code.end(), is_hex);
    // Half a surrogate pair is no character; it stays as it was written.
    if (hex && code.size() < digits) return Progress::more;
    if (hex && (digits == 2 || (code[0] | 0x20) != 'd' || code[1] < '8')) {
      json += digits == 2 ? "\\u00" : "\\u";
      json += code;
      input.take(2 + digits);
      return Progress::done;
    }
  }
  input.take(2);
  if (std::string_view("nrtbf\\\"/").find(c) != std::string_view::npos)
    json += {'\\', c};
  else if (c == '\'')
    json += c;
  else if (c != '\n')  // which a backslash joins to the next line
    append_escaped(json, std::string{'\\', c});
  return Progress::done;
}

Progress LiteralReader::read_word(Input& input, std::string& json) {
  while (!input.empty() && !ends_word(input.front())) word_ += input.take_byte();
  if (input.empty() && !input.closed()) return Progress::more;
  json += json_of_word(word_);
  end_value();
  return Progress::done;
}

Progress LiteralReader::read_key(Input& input, std::string& json) {
  input.skip_space();
  if (input.empty()) return Progress::more;
  if (input.front() == '}') {
    close(input, json);
    return Progress::done;
  }
  if (const auto begun = begin_string(input, json, true)) return *begun;
  if (!style_->bare_keys || ends_word(input.front())) return Progress::broken;
  word_.clear();
  state_ = State::bare_key;
  return Progress::done;
}

Progress LiteralReader::read_bare_key(Input& input, std::string& json) {
  while (!input.empty() && !ends_word(input.front())) word_ += input.take_byte();
  if (input.empty() && !input.closed()) return Progress::more;
  begin_item(json);
  json += '"';
  append_escaped(json, word_);
  if (input.empty()) return Progress::more;  // cut off
  json += '"';
  state_ = State::after_key;
  return Progress::done;
}

Progress LiteralReader::read_after_key(Input& input, std::string& json) {
  input.skip_space();
  if (input.empty()) return Progress::more;
  if (input.front() != ':') return Progress::broken;
  input.take_byte();
  json += ": ";
  state_ = State::value;
  return Progress::done;
}

Progress LiteralReader::read_after_value(Input& input, std::string& json) {
  input.skip_space();
  if (input.empty()) return Progress::more;
  if (input.front() == open_.back()) {
    close(input, json);
    return Progress::done;
  }
  if (input.front() != ',') return Progress::broken;
  input.take_byte();
  comma_due_ = true;
  state_ = open_.back() == '}' ? State::key : State::value;
  return Progress::done;
}

}  // namespace pippin::text
