// Calls that a model is made to write, in every format.
#include "text/parsers/call_grammar.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "pippin/error.h"
#include "text/grammar_testing.h"
#include "text/parsers/registry.h"

namespace pippin::text {
namespace {

constexpr std::string_view tools = R"([
  {"type": "function", "function": {"name": "add", "strict": true, "parameters": {"type": "object", "properties": {
      "a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"], "additionalProperties": false}}},
  {"type": "function", "function": {"name": "now"}}])";

TEST(CallGrammar, IsOfTheModelsFormat) {
  const auto hermes = call_grammar("hermes", tools, {}, false);
  EXPECT_TRUE(
      accepts(hermes, R"(<tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>)"));
  EXPECT_TRUE(accepts(hermes, "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>"));
  EXPECT_TRUE(accepts(hermes,
                      "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>\n"
                      "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>"));
  EXPECT_FALSE(accepts(hermes, R"(<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>)"));
  EXPECT_FALSE(accepts(hermes, "Hello"));
  EXPECT_TRUE(accepts(
      call_grammar("llama3_json", tools, {}, false),
      R"({"name": "add", "parameters": {"a": 1, "b": 2}}; {"name": "now", "parameters": {}})"));
  EXPECT_TRUE(accepts(
      call_grammar("mistral", tools, {}, false),
      R"([TOOL_CALLS][{"name": "now", "arguments": {}}, {"name": "now", "arguments": {}}])"));
  EXPECT_TRUE(accepts(call_grammar("mistral", tools, {}, true),
                      R"([TOOL_CALLS]add[ARGS]{"a": 1, "b": 2})"));
}

TEST(CallGrammar, FormatsOfOtherFamilies) {
  const auto is_forced = [](std::string_view format, std::string_view answer) {
    return accepts(call_grammar(format, tools, {}, false), std::string(answer));
  };
  EXPECT_TRUE(is_forced("phi", R"(<|tool_call|>[{"name": "now", "arguments": {}}]<|/tool_call|>)"));
  EXPECT_TRUE(is_forced(
      "kimi_k2",
      R"(<|tool_calls_section_begin|><|tool_call_begin|>functions.add:12<|tool_call_argument_begin|>{"a": 1, "b": 2}<|tool_call_end|>)"
      R"(<|tool_call_begin|>functions.now:13<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>)"));
  EXPECT_TRUE(is_forced(
      "deepseek",
      R"(<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>add<｜tool▁sep｜>{"a": 1, "b": 2}<｜tool▁call▁end｜><｜tool▁calls▁end｜>)"));
  EXPECT_TRUE(is_forced(
      "deepseek",
      "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n"
      "```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"));
  EXPECT_FALSE(is_forced(
      "deepseek",
      R"(<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>add<｜tool▁sep｜>{"a": 1}<｜tool▁call▁end｜><｜tool▁calls▁end｜>)"));
  EXPECT_TRUE(
      is_forced("command_r", "Action: ```json\n[{\"tool_name\": \"now\", \"parameters\": {}}]```"));
}

TEST(CallGrammar, FormatsWithTagsOfTheirOwn) {
  const auto is_forced = [](std::string_view format, std::string_view answer) {
    return accepts(call_grammar(format, tools, {}, false), std::string(answer));
  };
  EXPECT_TRUE(is_forced(
      "apertus", R"(<|tools_prefix|>[{"add": {"a": 1, "b": 2}}, {"now": {}}]<|tools_suffix|>)"));
  EXPECT_FALSE(is_forced("apertus", R"(<|tools_prefix|>[{"add": {"a": 1}}]<|tools_suffix|>)"));
  EXPECT_TRUE(is_forced("lfm2", "<|tool_call_start|>[add(a=1, b=2), now()]<|tool_call_end|>"));
  EXPECT_TRUE(is_forced("functionary_v3_2", "add\n{\"a\": 1, \"b\": 2}>>>now\n{}"));
  EXPECT_FALSE(is_forced("functionary_v3_2", "all\nHello"));
  EXPECT_TRUE(is_forced("command_r7b",
                        "<|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"now\", "
                        "\"parameters\": {}}\n]<|END_ACTION|>"));
  for (const auto* opening : {"", "<|start|>assistant"})
    EXPECT_TRUE(is_forced(
        "muse", std::string(opening) +
                    " to=now<|message|><atem:function_calls>\n<atem:invoke name=\"now\">\n"
                    "</atem:invoke>\n</atem:function_calls>"))
        << opening;
}

// A call may say each value's type itself: then a text may look like any other value, and no value is of another type.
TEST(CallGrammar, ArgumentsThatTellTheirTypes) {
  constexpr std::string_view typed =
      R"([{"type": "function", "function": {"name": "f", "parameters": {"type": "object",
      "properties": {"x": {"type": ["string", "integer", "null"]}}, "required": ["x"]}}}])";
  const auto dsml = [&](const std::string& is_text, const std::string& value) {
    return accepts(call_grammar("deepseek_v3_2", typed, {}, false),
                   "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter "
                   "name=\"x\" string=\"" +
                       is_text + "\">" + value +
                       "</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>");
  };
  EXPECT_TRUE(dsml("true", "Ada"));
  EXPECT_TRUE(dsml("true", "12"));
  EXPECT_TRUE(dsml("false", "12"));
  EXPECT_TRUE(dsml("false", "null"));
  EXPECT_FALSE(dsml("false", "Ada"));
  EXPECT_FALSE(dsml("maybe", "Ada"));
  EXPECT_TRUE(accepts(call_grammar("kimi_k3", typed, {}, false),
                      "<|open|>response<|sep|><|close|>response<|sep|><|open|>tools<|sep|><|open|>"
                      "call tool=\"f\" index=\"1\"<|sep|>"
                      "<|open|>argument key=\"x\" "
                      "type=\"number\"<|sep|>12<|close|>argument<|sep|><|close|>call<|sep|>"
                      "<|close|>tools<|sep|>"));
}

TEST(CallGrammar, EveryFormatIsForced) {
  const std::string forced = call_grammar_formats() + ",";
  for (const auto& name : OutputFormat::tool_parsers()) {
    if (name == "auto" || name == "none") continue;
    if (name == "minimax_m3") {  // lists and objects are elements, which no grammar is written for
      EXPECT_THROW(call_grammar(name, tools, {}, false), Error);
      continue;
    }
    EXPECT_NE(forced.find(name + ","), std::string::npos) << name;
    if (name == "harmony") continue;
    EXPECT_NO_THROW(compiler().compile(call_grammar(name, tools, {}, false))) << name;
  }
}

constexpr std::string_view mail =
    R"([{"type": "function", "function": {"name": "mail", "strict": true, "parameters": {"type": "object",
    "properties": {"to": {"type": "string", "description": "whom"}, "times": {"type": "integer", "minimum": 1}, "kind": {"enum": ["note", "call"]},
    "tags": {"$ref": "#/$defs/tags"}, "more": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
    "required": ["to", "times"], "$defs": {"tags": {"type": "array"}}}}}])";

TEST(CallGrammar, ArgumentsBetweenTags) {
  const auto coder = call_grammar("qwen3_coder", mail, {}, false);
  const auto calling = [](const std::string& parameters) {
    return "<tool_call>\n<function=mail>\n" + parameters + "</function>\n</tool_call>";
  };
  const std::string to = "<parameter=to>\nAda\n\"Countess\" </x>\n</parameter>\n";
  const auto times = [](const std::string& n) {
    return "<parameter=times>\n" + n + "\n</parameter>\n";
  };
  EXPECT_TRUE(accepts(coder, calling(to + times("2"))));
  EXPECT_TRUE(accepts(coder, calling(to + times("2")) + "\n" + calling(to + times("3"))));
  EXPECT_FALSE(accepts(coder, calling(to + times("0"))));
  EXPECT_FALSE(accepts(coder, calling(to)));
  EXPECT_TRUE(accepts(coder, calling(to + times("2") + "<parameter=kind>\nnote\n</parameter>\n" +
                                     "<parameter=more>\nnull\n</parameter>\n")));
  EXPECT_FALSE(accepts(coder, calling(to + times("2") + "<parameter=kind>\nnot\n</parameter>\n")));
  EXPECT_TRUE(accepts(
      coder,
      calling(to + times("2") + "<parameter=tags>\n[1, \"a\", {\"b\": null}]\n</parameter>\n")));
  EXPECT_FALSE(
      accepts(coder, calling("<parameter=to>\na</parameter>b\n</parameter>\n" + times("2"))));
  EXPECT_TRUE(accepts(
      call_grammar("minimax", mail, {}, false),
      "<minimax:tool_call>\n<invoke name=\"mail\">\n<parameter name=\"to\">Ada</parameter>\n"
      "<parameter name=\"times\">2</parameter>\n</invoke>\n</minimax:tool_call>"));
  EXPECT_TRUE(accepts(call_grammar("glm", mail, {}, false),
                      "<tool_call>mail\n<arg_key>to</arg_key>\n<arg_value>Ada</arg_value>\n"
                      "<arg_key>times</arg_key>\n<arg_value>2</arg_value>\n</tool_call>"));
}

std::string tool_with(const std::string& schema, bool strict = false) {
  return R"([{"type": "function", "function": {"name": "f", "strict": )" +
         std::string(strict ? "true" : "false") +
         R"(, "parameters": {"type": "object", "properties": {"x": )" + schema +
         R"(}, "required": ["x"]}}}])";
}

TEST(CallGrammar, TextsWithBoundsBetweenTags) {
  const auto allows = [](const std::string& schema, const std::string& text) {
    const auto call = "<tool_call>\n<function=f>\n<parameter=x>\n" + text +
                      "\n</parameter>\n</function>\n</tool_call>";
    return accepts(call_grammar("qwen3_coder", tool_with(schema), {}, false), call);
  };
  const std::string two = R"({"type": "string", "minLength": 2, "maxLength": 3})";
  EXPECT_TRUE(allows(two, "né") && allows(two, "\"\n\"") && allows(two, "漢字!"));
  EXPECT_FALSE(allows(two, "n") || allows(two, "four"));
  const std::string pattern = R"({"type": "string", "pattern": "a+$"})";
  EXPECT_TRUE(allows(pattern, "bcaa") && !allows(pattern, "aab"));
  const std::string date = R"({"type": "string", "format": "date"})";
  EXPECT_TRUE(allows(date, "2024-02-29") && !allows(date, "2023-02-29"));
  const std::string maybe = R"({"anyOf": [{"type": "string", "maxLength": 4}, {"type": "null"}]})";
  EXPECT_TRUE(allows(maybe, "null") && allows(maybe, "nul") && allows(maybe, ""));
  // What the parser reads as a number is none of the texts.
  const std::string either =
      R"({"anyOf": [{"type": "string", "minLength": 2}, {"type": "integer", "minimum": 5}]})";
  EXPECT_TRUE(allows(either, "17") && allows(either, "ab") && !allows(either, "04"));
  EXPECT_FALSE(allows(either, "3") || allows(either, " 12"));
  const std::string list =
      R"({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})";
  EXPECT_TRUE(allows(list, "a, b") && allows(list, "[\"a\", \"b\"]") && !allows(list, "[1]"));
}

TEST(CallGrammar, ValuesInPython) {
  const auto python = call_grammar("pythonic", mail, {}, false);
  EXPECT_TRUE(accepts(python, "[mail(to=\"Ada\", times=2)]"));
  EXPECT_TRUE(accepts(python,
                      "[mail(to='Ada \"Countess\"\\'s\\n', times=2, kind='note', "
                      "tags=[1, 'a', {\"b\": [True, None]}], more=None), mail(to=\"\", times=1)]"));
  for (const char* wrong :
       {"[mail(to='Ada')]", "[mail(times=2, to='Ada')]", "[mail(to='Ada', times=0)]",
        "[mail(to='Ada', times=2, more=null)]", "[mail(to=Ada, times=2)]", "Hello", "[]"})
    EXPECT_FALSE(accepts(python, wrong)) << wrong;
  EXPECT_TRUE(accepts(call_grammar("gemma3", tools, {}, false),
                      "```tool_code\nadd(a=1, b=-2)\nnow()\n```"));
}

TEST(CallGrammar, ValuesOfGemma) {
  const auto gemma = call_grammar("gemma4", mail, {}, false);
  EXPECT_TRUE(accepts(
      gemma,
      R"(<|tool_call>call:mail{kind:<|"|>note<|"|>,more:null,tags:[1,<|"|>a<|"|>,{b:true}],times:2,to:<|"|>Ada "x", {y}
<|"|>}<tool_call|><|tool_call>call:mail{times:1,to:<|"|><|"|>}<tool_call|>)"));
  for (const char* wrong : {R"(<|tool_call>call:mail{to:<|"|>Ada<|"|>}<tool_call|>)",
                            R"(<|tool_call>call:mail{times:1,to:Ada}<tool_call|>)",
                            R"(<|tool_call>call:mail{times:1, to:<|"|>Ada<|"|>}<tool_call|>)"})
    EXPECT_FALSE(accepts(gemma, wrong)) << wrong;
  EXPECT_TRUE(
      accepts(call_grammar("functiongemma", mail, {}, false),
              "<start_function_call>call:mail{times:1,to:<escape>Ada<escape>}<end_function_call>"));
}

TEST(CallGrammar, WhatCantBeKeptToIsNamed) {
  const auto refusal = [](std::string_view format, const std::string& schema) -> std::string {
    try {
      compiler().compile(call_grammar(format, tool_with(schema, true), {}, false));
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  for (const auto& [schema, word] : std::vector<std::pair<std::string, std::string>>{
           {R"({"type": "array", "uniqueItems": true})", "uniqueItems"},
           {R"({"type": "string", "pattern": "(?=a)b"})", ""},
           {R"({"type": "string", "format": "regex"})", "format"},
           {R"({"type": "object", "patternProperties": {"^a": {}}})", "patternProperties"},
           {R"({"type": "object", "properties": {"a": {}, "b": {}}, "maxProperties": 1})",
            "axProperties"},
           {R"({"$ref": "#/x"})", "$ref"}})
    for (const char* format : {"pythonic", "gemma4", "qwen3_coder"}) {
      const auto message = refusal(format, schema);
      EXPECT_NE(message, "") << format << ' ' << schema;
      EXPECT_NE(message.find(word), std::string::npos) << format << ' ' << message;
      // A tool that is not strict is kept, with what can be kept of its schema.
      const auto kept = compiler().compile(call_grammar(format, tool_with(schema), {}, false));
      EXPECT_FALSE(kept.ignored().empty()) << format << ' ' << schema;
    }
  const auto* names = "[{\"function\": {\"name\": \"f(x)\"}}]";
  EXPECT_THROW(call_grammar("pythonic", names, {}, false), Error);
  EXPECT_THROW(call_grammar("gemma4", names, {}, false), Error);
}

TEST(CallGrammar, KeepsToTheRules) {
  const auto one = call_grammar("hermes", tools, {.allowed = {"now"}, .many = false}, false);
  EXPECT_TRUE(accepts(one, R"(<tool_call>{"name": "now", "arguments": {}}</tool_call>)"));
  EXPECT_FALSE(
      accepts(one, R"(<tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>)"));
  EXPECT_FALSE(accepts(one,
                       "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>\n"
                       "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>"));
  const auto free = call_grammar("hermes", tools, {.text = true}, false);
  EXPECT_TRUE(accepts(free, "Hello there"));
  EXPECT_TRUE(accepts(
      free, R"(I add: <tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>)"));
  EXPECT_FALSE(
      accepts(free, R"(<tool_call>{"name": "add", "arguments": {"a": "x", "b": 2}}</tool_call>)"));
  EXPECT_THROW(call_grammar("llama3_json", tools, {.text = true}, false), Error);
  EXPECT_THROW(call_grammar("pythonic", tools, {.text = true}, false), Error);
}

TEST(CallGrammar, RefusesToolsThatAreNone) {
  for (const auto* text : {"{}", "[1]", R"([{"function": 1}])", R"([{"function": {}}])",
                           R"([{"type": "function", "function": {"name": ["add"]}}])"}) {
    try {
      call_grammar("hermes", text, {}, false);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::invalid_argument);
      EXPECT_EQ(error.field(), "tools");
    }
  }
}

// A format whose calls can't be forced says so before anybody asks, and refuses where one does.
TEST(CallGrammar, IsThereForEveryFormatThatDoesNotWarn) {
  for (const std::string& name : OutputFormat::tool_parsers()) {
    if (name == "auto" || name == "none" || name == "harmony") continue;
    const bool warns = !OutputFormat::choose(name, "none", "", "").warning().empty();
    EXPECT_EQ(warns, name == "minimax_m3") << name;
    try {
      call_grammar(name, tools, {}, false);
      EXPECT_FALSE(warns) << name;
    } catch (const Error& error) {
      EXPECT_TRUE(warns) << name << ": " << error.what();
      EXPECT_EQ(error.field(), "tool_choice");
      EXPECT_NE(std::string_view(error.what()).find(name), std::string_view::npos);
    }
  }
  const auto warning = OutputFormat::choose("minimax_m3", "none", "", "").warning();
  EXPECT_NE(warning.find("can't be forced"), std::string::npos) << warning;
}

TEST(CallGrammar, BeginsWithItsToken) {
  auto matcher = compiler().compile(call_grammar("hermes", tools, {}, false));
  const auto mask = mask_of(matcher);
  for (std::int32_t token = 0; token < tokenizer()->vocab_size(); ++token)
    EXPECT_EQ(has(mask, token), token == tool_call) << token;
}

}  // namespace
}  // namespace pippin::text
