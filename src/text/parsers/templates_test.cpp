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
bool prints_one_call(const std::string& name) {
  return name == "llama3_1" || name == "harmony" || name == "gigachat3";
}

/// MiniMax M3 writes an empty list of unknown type as it writes an empty text.
json::array without_empty_lists(json::array calls) {
  calls[0].at("function").at("arguments").as_object()["deep"] =
      json::object{{"k", json::array{1, "x"}}};
  return calls;
}

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
        "<SPECIAL_12>", "<|END_OF_TURN_TOKEN|>", "<|call|>", "<seed:eos>", "<|eot|>", "<|eom_id|>",
        "<end_of_sentence>", "<｜hy_eos:opensource｜>", "</assistant>", "<|end_of_msg|>",
        "\n<|end|>", "<turn|>"})
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
    auto calls = text::calls(prints_one_call(name) ? 1 : 2);
    if (name == "minimax_m3") calls = without_empty_lists(std::move(calls));
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
  EXPECT_EQ(read, (std::set<std::string>{"apertus",
                                         "apriel",
                                         "command_r",
                                         "command_r7b",
                                         "deepseek",
                                         "deepseek_v3_2",
                                         "deepseek_v4",
                                         "firefunction",
                                         "functionary_v3_1",
                                         "functionary_v3_2",
                                         "gemma4",
                                         "gigachat_3",
                                         "gigachat_3_1",
                                         "glm",
                                         "granite",
                                         "harmony",
                                         "hermes",
                                         "hunyuan_3",
                                         "kimi_k2",
                                         "kimi_k3",
                                         "lfm2",
                                         "llama3_json",
                                         "minicpm5",
                                         "minimax",
                                         "minimax_m1",
                                         "minimax_m3",
                                         "mistral",
                                         "muse",
                                         "nemotron",
                                         "qwen3_coder",
                                         "seed_oss",
                                         "solar_open"}));
}

// docs/tool-formats.md says the same of the published templates in whose styles these are.
TEST(Templates, PointToTheirFormats) {
  for (const auto& [name, formats] : std::vector<std::pair<std::string, std::string>>{
           {"apertus", "apertus apertus"},
           {"apriel", "apriel apriel"},
           {"chatml", "none none"},
           {"command_r", "command_r none"},
           {"command_r7b", "command_r7b command_r7b"},
           {"command_r_plus", "command_r none"},
           {"deepseek_r1", "none think"},
           {"deepseek_v3", "deepseek none"},
           {"deepseek_v3_2", "deepseek_v3_2 think"},
           {"deepseek_v4", "deepseek_v4 think"},
           {"firefunction", "firefunction none"},
           {"functionary_v3_1", "functionary_v3_1 none"},
           {"functionary_v3_2", "functionary_v3_2 none"},
           {"gemma2", "none none"},
           {"gemma3", "gemma3 none"},
           {"gemma4", "gemma4 gemma4"},
           {"gigachat3", "gigachat_3 none"},
           {"gigachat3_1", "gigachat_3_1 none"},
           {"glm4", "glm think"},
           {"granite3", "granite none"},
           {"harmony", "harmony harmony"},
           {"hermes", "hermes none"},
           {"hunyuan", "none none"},
           {"hunyuan3", "hunyuan_3 hunyuan_3"},
           {"kimi_k2", "kimi_k2 none"},
           {"kimi_k3", "kimi_k3 kimi_k3"},
           {"laguna", "glm think"},
           {"lfm2", "lfm2 none"},
           {"lfm2_5", "lfm2 think"},
           {"llama2", "none none"},
           {"llama3_1", "llama3_json none"},
           {"minicpm5", "minicpm5 think"},
           {"minimax_m1", "minimax_m1 think"},
           {"minimax_m2", "minimax think"},
           {"minimax_m3", "minimax_m3 minimax_m3"},
           {"mistral_v3", "mistral none"},
           {"muse", "muse muse"},
           {"nemotron", "nemotron think"},
           {"phi3", "none none"},
           {"phi4", "phi none"},
           {"qwen2_5", "hermes none"},
           {"qwen3", "hermes think"},
           {"qwen3_coder", "qwen3_coder none"},
           {"seed_oss", "seed_oss seed_oss"},
           {"smollm3", "none think"},
           {"smollm3_tools", "hermes think"},
           {"solar_open", "solar_open solar_open"},
           {"spark2_5", "glm think"},
           {"zephyr", "none none"}}) {
    const auto source = read_text(testdata("templates/" + name + ".jinja"));
    // The type of the model is one whose other templates speak hermes.
    const auto format = OutputFormat::choose("auto", "auto", source, "qwen3");
    EXPECT_EQ(format.tool_parser() + " " + format.reasoning_parser(), formats) << name;
  }
}

TEST(Templates, ThatShowNoKnownFormatAreToldOf) {
  const auto choose = [](const std::string& parser, const std::string& source) {
    return OutputFormat::choose(parser, "auto", source, "qwen3");
  };
  const auto unknown = choose("auto", "{% for tool in tools %}<call>{{ tool }}</call>{% endfor %}");
  EXPECT_EQ(unknown.tool_parser(), "none");
  EXPECT_NE(unknown.warning().find("calls will come as text"), std::string::npos);
  // The tag alone is not hermes: its calls are JSON.
  EXPECT_EQ(choose("auto", "{{ tools }}<tool_call>f(x)</tool_call>").tool_parser(), "none");
  const auto chatml = choose("auto", read_text(testdata("templates/chatml.jinja")));
  EXPECT_NE(chatml.warning().find("no place for"), std::string::npos);
  EXPECT_EQ(choose("auto", read_text(testdata("templates/qwen3.jinja"))).warning(), "");
  EXPECT_EQ(choose("none", "{{ tools }}").warning(), "");
  EXPECT_EQ(choose("hermes", "{{ tools }}").warning(), "");
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
