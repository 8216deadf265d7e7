// The parsers read back what chat templates print of calls in the history: a model is trained to speak as its template does.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/files.h"
#include "base/json.h"
#include "pippin/error.h"
#include "text/chat_template.h"
#include "text/parsers/registry.h"
#include "text/test_files.h"

namespace pippin::text {
namespace {

using Kind = OutputEvent::Kind;

constexpr const char* now = "2026-11-22T19:32:12";

std::string tools_json() {
  return R"([{"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object",
      "properties": {"a": {"type": "number"}, "b": {"type": "number"}, "note": {"type": "string"}}}}}])";
}

/// Arguments of every kind, in Python's spelling where a template may choose it.
json::array calls(std::size_t count) {
  json::array list{parse_json(
      R"({"id": "functions.add:0", "type": "function", "function": {"name": "add", "arguments":
          {"a": 1, "b": 2.5, "note": "é \"x\" <&>", "flags": [true, null], "deep": {"k": []}}}})",
      "call")};
  if (count > 1)
    list.push_back(parse_json(
        R"({"id": "functions.add:1", "type": "function", "function": {"name": "add", "arguments": {"a": -1, "b": 0}}})",
        "call"));
  return list;
}

/// Templates that can't print more than one call.
bool prints_one_call(const std::string& name) { return name == "llama3_1" || name == "harmony"; }

struct Rendered {
  std::string prompt, answer;
};

/// The prompt up to the answer, and the answer with `calls` in it as the template prints it in the history.
Rendered render(const std::string& name, json::array calls) {
  if (name == "mistral_v3")
    for (std::size_t i = 0; i < calls.size(); ++i)
      calls[i].as_object()["id"] = "abcdefgh" + std::to_string(i);
  const auto chat_template =
      ChatTemplate::parse(read_text(testdata("templates/" + name + ".jinja")),
                          {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
  json::array messages{{{"role", "user"}, {"content", "Add."}}};
  const auto before =
      chat_template.render({json::serialize(messages), tools_json(), "", true, now});
  messages.push_back({{"role", "assistant"}, {"content", ""}, {"tool_calls", std::move(calls)}});
  const auto all = chat_template.render({json::serialize(messages), tools_json(), "", false, now});
  auto size = static_cast<std::size_t>(
      std::mismatch(before.begin(), before.end(), all.begin(), all.end()).first - before.begin());
  // The prompt may open a thought where the history has none.
  if (size < before.size()) size = all.rfind('\n', size) + 1;
  return {all.substr(0, size), all.substr(size)};
}

/// Without the token that ends the turn, which no parser sees.
std::string without_end(std::string answer) {
  for (const std::string end :
       {"<|im_end|>", "<｜end▁of▁sentence｜>", "<|end_of_text|>", "</s>", "<|eot_id|>", "[e~[",
        "<SPECIAL_12>", "<|END_OF_TURN_TOKEN|>", "<|call|>"})
    if (const auto at = answer.find(end); at != std::string::npos) answer.resize(at);
  return answer;
}

/// Feeds harmony's marks as the tokens that they are.
OutputEvents parse(OutputParser& parser, std::string_view text) {
  OutputEvents events;
  const auto add = [&](OutputEvents more) {
    events.insert(events.end(), more.begin(), more.end());
  };
  while (!text.empty()) {
    const auto& markers = parser.markers();
    const auto marker = std::find_if(markers.begin(), markers.end(),
                                     [&](auto candidate) { return text.starts_with(candidate); });
    const auto size = marker == markers.end() ? 1 : marker->size();
    add(marker == markers.end() ? parser.feed(text.substr(0, 1)) : parser.feed_marker(*marker));
    text.remove_prefix(size);
  }
  add(parser.finish(AnswerEnd::whole));
  return events;
}

/// Calls as the history had them, without ids; what else was said comes as a string behind them.
json::array calls_in(const OutputEvents& events) {
  json::array list;
  std::string arguments, words;
  for (const auto& event : events) {
    if (event.kind == Kind::call_begin) list.emplace_back(json::object{{"name", event.text}});
    if (event.kind == Kind::call_begin) arguments.clear();
    if (event.kind == Kind::call_arguments) arguments += event.text;
    if (event.kind == Kind::call_end)
      list.back().as_object()["arguments"] = parse_json(arguments, "arguments");
    if (event.kind == Kind::text || event.kind == Kind::reasoning) words += event.text;
  }
  if (std::any_of(words.begin(), words.end(),
                  [](char c) { return !std::isspace(static_cast<unsigned char>(c)); }))
    list.emplace_back(words);
  return list;
}

json::array expected(const json::array& calls) {
  json::array list;
  for (const auto& call : calls) list.push_back(call.at("function"));
  return list;
}

TEST(Templates, CallsInTheHistoryAreReadBack) {
  std::set<std::string> read;
  for (const auto& file : std::filesystem::directory_iterator(testdata("templates"))) {
    const auto name = file.path().stem().string();
    SCOPED_TRACE(name);
    const auto calls = text::calls(prints_one_call(name) ? 1 : 2);
    Rendered rendered;
    try {
      rendered = render(name, calls);
    } catch (const Error&) {
      continue;  // it takes no calls, or no tools
    }
    if (rendered.answer.find("2.5") == std::string::npos) continue;  // it prints none
    const auto format = OutputFormat::choose("auto", "auto", read_text(file.path()), "");
    const auto parser = format.parser(rendered.prompt, tools_json());
    ASSERT_TRUE(parser) << format.tool_parser();
    EXPECT_EQ(calls_in(parse(*parser, without_end(rendered.answer))), expected(calls))
        << format.tool_parser() << ": " << rendered.answer;
    read.insert(format.tool_parser());
  }
  EXPECT_EQ(read, (std::set<std::string>{"command_r", "deepseek", "glm", "granite", "harmony",
                                         "hermes", "kimi_k2", "llama3_json", "minimax", "mistral",
                                         "nemotron", "qwen3_coder"}));
}

TEST(Templates, PointToTheirFormats) {
  const auto formats = [](const std::string& name) {
    const auto source = read_text(testdata("templates/" + name + ".jinja"));
    const auto format = OutputFormat::choose("auto", "auto", source, "");
    return format.tool_parser() + " " + format.reasoning_parser();
  };
  EXPECT_EQ(formats("qwen3"), "hermes think");
  EXPECT_EQ(formats("qwen2_5"), "hermes none");
  EXPECT_EQ(formats("deepseek_r1"), "none think");
  EXPECT_EQ(formats("phi4"), "phi none");
  EXPECT_EQ(formats("gemma3"), "gemma3 none");
  EXPECT_EQ(formats("harmony"), "harmony harmony");
  EXPECT_EQ(formats("chatml"), "none none");
}

TEST(Templates, ModelTypesHelpWhereTheTemplateTellsNothing) {
  EXPECT_EQ(OutputFormat::choose("auto", "auto", "", "qwen3").tool_parser(), "hermes");
  EXPECT_EQ(OutputFormat::choose("none", "none", "<tool_call></think>", "qwen3").tool_parser(),
            "none");
  EXPECT_EQ(OutputFormat::choose("mistral", "think", "<tool_call>", "qwen3").tool_parser(),
            "mistral");
}

TEST(Templates, UnknownNamesAreRefusedWithTheKnownOnes) {
  for (const char* field : {"tool_parser", "reasoning_parser"}) {
    const bool tools = std::string(field) == "tool_parser";
    try {
      OutputFormat::choose(tools ? "qwen9" : "auto", tools ? "auto" : "qwen9", "", "");
      ADD_FAILURE() << field;
    } catch (const Error& error) {
      EXPECT_EQ(error.field(), field);
      EXPECT_NE(std::string(error.what()).find(tools ? "hermes" : "think"), std::string::npos);
    }
  }
}

TEST(Templates, NothingIsParsedWhereThereIsNothingToTellApart) {
  const auto hermes = OutputFormat::choose("hermes", "none", "", "");
  EXPECT_FALSE(hermes.parser("", ""));
  EXPECT_FALSE(hermes.parser("", "[]"));
  EXPECT_TRUE(hermes.parser("", tools_json()));
}

}  // namespace
}  // namespace pippin::text
