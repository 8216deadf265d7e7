// Random walks through the grammars of calls: whatever they end in, the parser reads one call whose arguments the tool's schema
// allows. Oracle: llguidance's grammar of that schema's JSON, which the arguments are put to.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/sanitized.h"
#include "text/grammar_testing.h"
#include "text/parsers/call_grammar.h"
#include "text/parsers/registry.h"
#include "text/parsers/testing.h"

namespace pippin::text {
namespace {

using Dice = std::mt19937;

// ---- schemas

template <class T>
const T& one_of(const std::vector<T>& options, Dice& dice) {
  return options[dice() % options.size()];
}

json::value text_schema(Dice& dice) {
  const auto shortest = dice() % 4;
  return parse_json(
      one_of<std::string>(
          {R"({"type": "string"})",
           R"({"type": "string", "minLength": )" + std::to_string(shortest) + R"(, "maxLength": )" +
               std::to_string(shortest + dice() % 8) + "}",
           R"({"type": "string", "pattern": "^[a-z]{2,5}$"})",
           R"({"type": "string", "pattern": "b|^a"})",
           R"({"type": "string", "pattern": "^[\"'\\\\<]?\\w+$", "maxLength": 9})",
           R"({"type": "string", "format": "date"})",
           R"({"type": "string", "format": "email", "maxLength": 24})",
           R"({"enum": ["red", "a \"quoted\" word", "it's", "é", "line\nbreak", "null", "12"]})"},
          dice),
      "schema");
}

json::value other_schema(Dice& dice) {
  return parse_json(
      one_of<std::string>(
          {R"({"type": "integer"})", R"({"type": "number"})", R"({"type": "boolean"})",
           R"({"type": "null"})", R"({"type": "integer", "minimum": 3, "maximum": 40})",
           R"({"type": "number", "exclusiveMinimum": -1.5})",
           R"({"type": ["string", "null"], "maxLength": 5})",
           R"({"type": ["string", "integer", "boolean"]})",
           R"({"anyOf": [{"type": "string"}, {"type": "number", "minimum": 2}]})",
           R"({"enum": [1, "1", true, null, [2, "x"], {"k": 2.5}]})",
           R"({"const": {"a": [false]}})", R"({"$ref": "#/$defs/tree"})", "{}"},
          dice),
      "schema");
}

json::value schema(Dice& dice, int depth);

json::object object_schema(Dice& dice, int depth) {
  json::object properties;
  json::array required;
  for (const char* name : {"a", "b", "c", "d"}) {
    if (dice() % 3 == 0) continue;
    properties[name] = schema(dice, depth - 1);
    if (dice() % 2) required.emplace_back(name);
  }
  json::object object{{"type", "object"}, {"properties", properties}, {"required", required}};
  if (dice() % 3 == 0)
    object["additionalProperties"] = schema(dice, 0);
  else
    object["additionalProperties"] = false;
  return object;
}

json::value schema(Dice& dice, int depth) {
  switch (depth > 0 ? dice() % 6 : dice() % 2) {
    case 0:
      return text_schema(dice);
    case 1:
      return other_schema(dice);
    case 2:
      return object_schema(dice, depth);
    case 3:
      return json::object{{"anyOf", json::array{schema(dice, depth - 1), schema(dice, depth - 1)}}};
    case 4:
      return json::object{{"type", "array"},
                          {"prefixItems", json::array{schema(dice, depth - 1)}},
                          {"items", schema(dice, depth - 1)},
                          {"minItems", dice() % 3},
                          {"maxItems", 2 + dice() % 2}};
    default:
      return json::object{
          {"type", "array"}, {"items", schema(dice, depth - 1)}, {"maxItems", dice() % 4}};
  }
}

json::object parameters(Dice& dice) {
  auto object = object_schema(dice, 2);
  object["additionalProperties"] = false;
  object["$defs"] = parse_json(
      R"({"tree": {"type": "object", "properties": {"l": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/tree"}]}},
          "required": ["l"], "additionalProperties": false}})",
      "schema");
  return object;
}

// ---- answers

class Walk {
 public:
  /// `end`: what ends a text in the format, beside what does in others; empty for nothing.
  Walk(Matcher matcher, std::string end, Dice& dice)
      : matcher_(std::move(matcher)), end_(std::move(end)), dice_(dice) {}

  /// An answer; nothing where it has no end in time.
  std::optional<std::string> answer() {
    for (int step = 0; step < 400; ++step) {
      if (matcher_.finished()) return text_;
      const auto forced = matcher_.forced();
      for (const auto token : forced)
        if (token != end_of_turn) take(token);
      if (!forced.empty() && forced.back() == end_of_turn) return text_;
      if (matcher_.finished()) return text_;
      const auto mask = mask_of(matcher_);
      if (has(mask, end_of_turn) && dice_() % 2) return text_;
      if ((dice_() % 2 && step < 60) || !close()) take_any(mask);
    }
    return {};
  }

 private:
  void take(std::int32_t token) {
    matcher_.accept(token);
    text_ += tokenizer()->token_bytes(token);
  }

  void take_any(const std::vector<std::uint32_t>& mask) {
    std::vector<std::int32_t> allowed;
    for (std::int32_t token = 0; token < tokenizer()->vocab_size(); ++token)
      if (token != end_of_turn && has(mask, token)) allowed.push_back(token);
    ASSERT_FALSE(allowed.empty()) << text_;
    take(one_of(allowed, dice_));
  }

  // Ends a text, an array or an object, where it can.
  bool close() {
    std::vector<std::string> ends{"\n</parameter>\n",
                                  "</parameter>\n",
                                  "</arg_value>\n",
                                  "<|\"|>",
                                  "<escape>",
                                  "\"",
                                  "'",
                                  "]",
                                  "}"};
    if (!end_.empty()) ends.push_back(end_);
    std::shuffle(ends.begin(), ends.end(), dice_);
    for (const auto& end : ends) {
      auto ahead = matcher_.copy();
      const auto tokens = tokenizer()->encode(end);
      const bool can = std::all_of(tokens.begin(), tokens.end(), [&](std::int32_t token) {
        if (ahead.finished() || !ahead.allows(token)) return false;
        ahead.accept(token);
        return true;
      });
      if (!can) continue;
      for (const auto token : tokens) take(token);
      return true;
    }
    return false;
  }

  Matcher matcher_;
  const std::string end_;
  Dice& dice_;
  std::string text_;
};

// Escapes of characters that JSON's grammar has none for, each as another character.
std::string without_controls(std::string text) {
  for (auto at = text.find("\\u00"); at != std::string::npos; at = text.find("\\u00", at))
    if (at == 0 || text[at - 1] != '\\')
      text.replace(at, 6, "x");
    else
      at += 6;
  std::replace(text.begin(), text.end(), '\x7f', 'x');
  return text;
}

// JSON's own grammar of numbers lets exponents run on, beyond what any reader holds.
bool has_endless_exponent(const std::string& text) {
  static const std::regex exponent("[0-9][eE][+-]?[0-9]{3}");
  return std::regex_search(text, exponent);
}

// What a prompt ends in where the first call's mark begins there.
std::string prompt_of(const std::string& format) {
  if (format == "functionary_v3_2") return ">>>";
  return format == "muse" ? "<|start|>assistant" : "";
}

std::string end_of_text(const std::string& format) {
  static const std::map<std::string, std::string> ends{{"muse", "</atem:parameter>\n"},
                                                       {"deepseek_v3_2", "</｜DSML｜parameter>\n"},
                                                       {"deepseek_v4", "</｜DSML｜parameter>\n"},
                                                       {"kimi_k3", "<|close|>argument<|sep|>"},
                                                       {"hunyuan_3", "</arg_value:opensource>\n"},
                                                       {"glm", "</arg_value>"},
                                                       {"minicpm5", "</param>"}};
  const auto found = ends.find(format);
  return found == ends.end() ? "" : found->second;
}

class CallWalk : public testing::TestWithParam<std::string> {};

// Schemas are compiled in Rust, which no sanitizer watches.
constexpr int num_schemas = rounds(24, 5);

TEST_P(CallWalk, EndsInACallThatTheSchemaAllows) {
  const auto& name = GetParam();
  Dice dice(11);
  int whole = 0, cut = 0;
  for (int round = 0; round < num_schemas; ++round) {
    const auto schema = parameters(dice);
    const auto tools = json::serialize(
        json::array{{{"type", "function"}, {"function", {{"name", "f"}, {"parameters", schema}}}}});
    SCOPED_TRACE(json::serialize(schema));
    const CallRules rules{.many = false};
    const auto matcher = compiler().compile(call_grammar(name, tools, rules, false));
    for (int walk = 0; walk < 2; ++walk) {
      const auto answer = Walk(matcher.copy(), end_of_text(name), dice).answer();
      ++(answer ? whole : cut);
      if (!answer || has_endless_exponent(*answer)) continue;
      const auto parser = OutputFormat::choose(name, "none", "", "").parser(prompt_of(name), tools);
      const auto read = parse_in_pieces(*parser, cut_at_markers(*answer, parser->markers()));
      ASSERT_EQ(read.calls.size(), 1u) << *answer;
      ASSERT_EQ(read.content, "") << *answer;
      ASSERT_TRUE(read.calls[0].complete) << *answer;
      ASSERT_EQ(read.problem, "") << *answer;
      const auto arguments = without_controls(read.calls[0].arguments);
      ASSERT_TRUE(accepts({Grammar::Kind::json_schema, json::serialize(schema)}, arguments))
          << *answer << "\n"
          << arguments;
    }
  }
  EXPECT_GT(whole, (sanitized ? 1 : 5) * cut);
}

// All that calls can be forced in, but for harmony, whose marks must be tokens and in this vocabulary are none.
std::vector<std::string> walked_formats() {
  std::vector<std::string> names;
  std::istringstream list(call_grammar_formats());
  for (std::string name; list >> name;) {
    if (name.ends_with(',')) name.pop_back();
    if (name != "harmony") names.push_back(name);
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Formats, CallWalk, testing::ValuesIn(walked_formats()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace pippin::text
