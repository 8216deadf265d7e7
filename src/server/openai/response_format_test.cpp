// What a request's JSON says of the answer's form and of the tools that it calls.
#include "server/openai/response_format.h"

#include <gtest/gtest.h>

#include <string>

#include "pippin/error.h"
#include "server/openai/tool_choice.h"

namespace pippin::server {
namespace {

using Kind = ResponseFormat::Kind;

ResponseFormat parse(const std::string& body) {
  const auto object = parse_json(body, "body").as_object();
  return parse_response_format(Members(object));
}

std::string refused(const std::string& body) {
  try {
    parse(body);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid_argument);
    return error.field();
  }
  return "";
}

TEST(ResponseFormat, IsTextWhereNothingIsSaid) {
  for (const auto* body :
       {"{}", R"({"response_format": null})", R"({"response_format": {"type": "text"}})",
        R"({"structured_outputs": {"json_object": false}})", R"({"guided_json": null})"})
    EXPECT_EQ(parse(body).kind, Kind::text) << body;
}

TEST(ResponseFormat, IsLlamaCpps) {
  for (const std::string type : {"json_object", "json_schema"}) {
    const auto format =
        parse(R"({"response_format": {"type": ")" + type + R"(", "schema": {"type": "array"}}})");
    EXPECT_EQ(format.kind, Kind::json_schema);
    EXPECT_EQ(format.text, R"({"type":"array"})");
    EXPECT_EQ(format.field, "response_format.schema");
  }
  EXPECT_EQ(refused(R"({"response_format": {"type": "json_object", "schema": 1}})"),
            "response_format.schema");
  EXPECT_EQ(
      refused(
          R"({"response_format": {"type": "json_schema", "schema": {}, "json_schema": {"schema": {}}}})"),
      "response_format.schema");
}

TEST(ResponseFormat, IsOpenAis) {
  EXPECT_EQ(parse(R"({"response_format": {"type": "json_object"}})").kind, Kind::json_object);
  for (const auto* strict : {"true", "false", "null"}) {
    const auto format = parse(
        R"({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": )" +
        std::string(strict) + R"(, "schema": {"type": "array"}}}})");
    EXPECT_EQ(format.kind, Kind::json_schema);
    EXPECT_EQ(format.text, R"({"type":"array"})");
  }
  EXPECT_EQ(refused(R"({"response_format": "json"})"), "response_format");
  EXPECT_EQ(refused(R"({"response_format": {}})"), "response_format.type");
  EXPECT_EQ(refused(R"({"response_format": {"type": "yaml"}})"), "response_format.type");
  EXPECT_EQ(refused(R"({"response_format": {"type": "json_schema"}})"),
            "response_format.json_schema");
  EXPECT_EQ(
      refused(R"({"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}})"),
      "response_format.json_schema.schema");
  EXPECT_EQ(
      refused(
          R"({"response_format": {"type": "json_schema", "json_schema": {"schema": {}, "strict": 1}}})"),
      "response_format.json_schema.strict");
}

TEST(ResponseFormat, IsVllms) {
  const auto json = parse(R"({"guided_json": "{\"type\": \"array\"}"})");
  EXPECT_EQ(json.kind, Kind::json_schema);
  EXPECT_EQ(parse(R"({"json_schema": {"type": "object"}, "grammar": ""})").kind, Kind::json_schema);
  EXPECT_EQ(parse(R"({"grammar": "root ::= \"a\""})").kind, Kind::grammar);
  EXPECT_EQ(json.text, R"({"type": "array"})");
  EXPECT_EQ(json.field, "guided_json");
  EXPECT_EQ(parse(R"({"structured_outputs": {"json": {"type": "array"}}})").kind,
            Kind::json_schema);
  EXPECT_EQ(parse(R"({"structured_outputs": {"json_object": true}})").kind, Kind::json_object);
  EXPECT_EQ(parse(R"({"guided_regex": "a+"})").kind, Kind::regex);
  const auto choice = parse(R"({"structured_outputs": {"choice": ["a", "b"], "regex": null}})");
  EXPECT_EQ(choice.kind, Kind::choice);
  EXPECT_EQ(choice.text, R"(["a","b"])");
  EXPECT_EQ(choice.field, "structured_outputs.choice");
  EXPECT_EQ(parse(R"({"guided_grammar": "start: \"a\""})").kind, Kind::grammar);
  for (const auto& [body, field] : std::vector<std::pair<std::string, std::string>>{
           {R"({"guided_json": 1})", "guided_json"},
           {R"({"guided_json": "[1]"})", "guided_json"},
           {R"({"guided_regex": ""})", "guided_regex"},
           {R"({"guided_choice": []})", "guided_choice"},
           {R"({"guided_choice": ["a", ""]})", "guided_choice"},
           {R"({"guided_choice": ["a", 1]})", "guided_choice"},
           {R"({"guided_grammar": {}})", "guided_grammar"},
           {R"({"structured_outputs": {"structural_tag": "x"}})",
            "structured_outputs.structural_tag"},
           {R"({"structured_outputs": {"json_object": 1}})", "structured_outputs.json_object"}})
    EXPECT_EQ(refused(body), field) << body;
}

TEST(ResponseFormat, TwoOfThemExcludeEachOther) {
  EXPECT_EQ(refused(R"({"response_format": {"type": "json_object"}, "guided_regex": "a"})"),
            "guided_regex");
  EXPECT_EQ(refused(R"({"structured_outputs": {"regex": "a", "json_object": true}})"),
            "structured_outputs.json_object");
  EXPECT_EQ(parse(R"({"response_format": {"type": "text"}, "guided_regex": "a"})").kind,
            Kind::regex);
}

TEST(ThinkingBudget, HasTwoNames) {
  const auto budget = [](const std::string& body) {
    const auto object = parse_json(body, "body").as_object();
    return parse_thinking_budget(Members(object));
  };
  EXPECT_EQ(budget("{}"), std::nullopt);
  EXPECT_EQ(budget(R"({"thinking_token_budget": 0})"), 0);
  EXPECT_EQ(budget(R"({"thinking_budget": 7})"), 7);
  EXPECT_THROW(budget(R"({"thinking_budget": -1})"), Error);
}

// ---- tools

const std::string two_tools = R"("tools": [{"type": "function", "function": {"name": "f"}},
                                           {"type": "function", "function": {"name": "g", "strict": true}}])";

ChatRequest with(const std::string& choice) {
  const auto object =
      parse_json("{" + two_tools + ", \"tool_choice\": " + choice + "}", "body").as_object();
  ChatCall call;
  parse_tool_fields(Members(object), call);
  return call.request;
}

std::string refused_choice(const std::string& choice) {
  try {
    with(choice);
  } catch (const Error& error) {
    return error.field();
  }
  return "";
}

TEST(ToolChoice, IsWhatTheRequestSays) {
  EXPECT_FALSE(with("\"auto\"").tool_choice.required);
  EXPECT_TRUE(with("\"auto\"").tool_choice.strict);
  EXPECT_EQ(with("\"none\"").tools_json, "");
  EXPECT_FALSE(with("\"none\"").tool_choice.strict);
  EXPECT_TRUE(with("\"required\"").tool_choice.required);
  EXPECT_TRUE(with("\"required\"").tool_choice.allowed.empty());
  const auto named = with(R"({"type": "function", "function": {"name": "g"}})");
  EXPECT_TRUE(named.tool_choice.required);
  EXPECT_EQ(named.tool_choice.allowed, std::vector<std::string>{"g"});
  EXPECT_NE(named.tools_json.find("\"f\""), std::string::npos);
}

TEST(ToolChoice, AllowsSome) {
  const std::string f = R"("tools": [{"type": "function", "function": {"name": "f"}}]}})";
  const auto required =
      with(R"({"type": "allowed_tools", "allowed_tools": {"mode": "required", )" + f);
  EXPECT_TRUE(required.tool_choice.required);
  EXPECT_EQ(required.tool_choice.allowed, std::vector<std::string>{"f"});
  const auto free = with(R"({"type": "allowed_tools", "allowed_tools": {"mode": "auto", )" + f);
  EXPECT_FALSE(free.tool_choice.required);
  EXPECT_EQ(free.tools_json.find("\"g\""), std::string::npos);
}

TEST(ToolChoice, NamesWhatIsWrong) {
  EXPECT_EQ(refused_choice("\"maybe\""), "tool_choice");
  EXPECT_EQ(refused_choice("1"), "tool_choice");
  EXPECT_EQ(refused_choice("{}"), "tool_choice.type");
  EXPECT_EQ(refused_choice(R"({"type": "function"})"), "tool_choice.function");
  EXPECT_EQ(refused_choice(R"({"type": "function", "function": {}})"), "tool_choice.function.name");
  EXPECT_EQ(refused_choice(R"({"type": "function", "function": {"name": "h"}})"),
            "tool_choice.function.name");
  EXPECT_EQ(refused_choice(R"({"type": "allowed_tools"})"), "tool_choice.allowed_tools");
  EXPECT_EQ(refused_choice(R"({"type": "allowed_tools", "allowed_tools": {"tools": []}})"),
            "tool_choice.allowed_tools.tools");
  EXPECT_EQ(refused_choice(R"({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [
                               {"type": "function", "function": {"name": "h"}}]}})"),
            "tool_choice.allowed_tools.tools.0");
  const auto object = parse_json(R"({"tool_choice": "required"})", "body").as_object();
  ChatCall call;
  EXPECT_THROW(parse_tool_fields(Members(object), call), Error);
}

}  // namespace
}  // namespace pippin::server
