// Oracle: what Python's Jinja2 renders in transformers' environment, committed under
// testdata/expected (tools/templates).
#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "base/files.h"
#include "base/json.h"
#include "pippin/error.h"
#include "text/test_files.h"

namespace pippin::text {
namespace {

constexpr const char* kNow = "2026-11-22T19:32:12";
const std::map<std::string, std::string> kSpecialTokens = {
    {"bos_token", "<s>"}, {"eos_token", "</s>"}, {"pad_token", "<pad>"}, {"unk_token", "<unk>"}};

std::string member_json(const json::object& object, std::string_view key) {
  const auto* member = object.if_contains(key);
  return member ? json::serialize(*member) : std::string();
}

ChatInput input_of(const json::object& conversation) {
  ChatInput input{member_json(conversation, "messages"), member_json(conversation, "tools"),
                  member_json(conversation, "kwargs"), true, kNow};
  if (const auto* prompt = conversation.if_contains("add_generation_prompt")) {
    input.add_generation_prompt = prompt->as_bool();
  }
  return input;
}

/// A rendering or the words of the error it ended in.
struct Outcome {
  std::string text;
  std::string error;
};

Outcome render(const ChatTemplate& chat_template, const ChatInput& input) {
  try {
    return {chat_template.render(input), ""};
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid_argument) << error.what();
    return {"", error.what()};
  }
}

Outcome render(const std::string& source) {
  return render(ChatTemplate::parse(source, kSpecialTokens),
                {R"([{"role": "user", "content": "hi"}])", "", "", true, kNow});
}

void expect_outcome(const Outcome& outcome, const json::object& expected) {
  if (const auto* text = expected.if_contains("text")) {
    EXPECT_EQ(outcome.error, "");
    EXPECT_EQ(outcome.text, json::value_to<std::string>(*text));
  } else if (const auto* words = expected.if_contains("raised")) {
    EXPECT_TRUE(outcome.error.ends_with(": " + json::value_to<std::string>(*words)))
        << outcome.error;
  } else {
    EXPECT_NE(outcome.error, "") << outcome.text;
  }
}

TEST(ChatTemplate, RendersEveryFamilyAsJinja2Does) {
  const auto conversations = parse_json(read_text(testdata("conversations.json")), "conversations");
  int templates = 0;
  for (const auto& file : std::filesystem::directory_iterator(testdata("templates"))) {
    ++templates;
    const auto name = file.path().stem().string();
    const auto chat_template = ChatTemplate::parse(read_text(file.path()), kSpecialTokens);
    const auto expected = read_json_object(testdata("expected/" + name + ".json"));
    for (const auto& value : conversations.as_array()) {
      const auto& conversation = value.as_object();
      const auto& which = conversation.at("name").as_string();
      SCOPED_TRACE(name + ", " + std::string(which));
      expect_outcome(render(chat_template, input_of(conversation)), expected.at(which).as_object());
    }
  }
  EXPECT_GE(templates, 20);
}

TEST(ChatTemplate, RendersEverySnippetAsJinja2Does) {
  const auto snippets = read_json_object(testdata("snippets.json"));
  const auto expected = read_json_object(testdata("expected/snippets.json"));
  const ChatInput input = input_of({{"messages", snippets.at("messages")}});
  for (const auto& value : snippets.at("snippets").as_array()) {
    const auto source = json::value_to<std::string>(value);
    SCOPED_TRACE(source);
    expect_outcome(render(ChatTemplate::parse(source, kSpecialTokens), input),
                   expected.at(source).as_object());
  }
}

// ---- Calls that come back ------------------------------------------------------------------------

std::string call_with(const std::string& arguments) {
  return json::serialize(json::array{
      {{"role", "user"}, {"content", "Go."}},
      {{"role", "assistant"},
       {"content", ""},
       {"tool_calls", json::array{{{"id", "abcdefghi"},
                                   {"type", "function"},
                                   {"function", {{"name", "look"}, {"arguments", arguments}}}}}}},
      {{"role", "tool"}, {"tool_call_id", "abcdefghi"}, {"name", "look"}, {"content", "7"}},
      {{"role", "user"}, {"content", "On."}}});
}

const std::string look_tool =
    R"([{"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}}}])";

// Those that show a model calls; the others fail for any, as their model was never taught to.
template <class Check>
void for_each_template_with_calls(Check check) {
  int templates = 0;
  for (const auto& file : std::filesystem::directory_iterator(testdata("templates"))) {
    const auto chat_template = ChatTemplate::parse(read_text(file.path()), kSpecialTokens);
    const auto outcome =
        render(chat_template, {call_with(R"({"x": "mark"})"), look_tool, "", true, kNow});
    if (!outcome.error.empty() || outcome.text.find("mark") == std::string::npos) continue;
    ++templates;
    SCOPED_TRACE(file.path().stem().string());
    check([&](const std::string& arguments) {
      return render(chat_template, {call_with(arguments), look_tool, "", true, kNow});
    });
  }
  EXPECT_GE(templates, 10);
}

TEST(ChatTemplate, NumbersOfEarlierCallsKeepTheirDigits) {
  for_each_template_with_calls([](auto render_call) {
    for (const std::string number :
         {"123456789012345678901234567890", "18446744073709551616", "1e400", "-1e99999999999",
          "0.1000000000000000055511151231257827"}) {
      const Outcome outcome = render_call(R"({"x": )" + number + R"(, "y": [)" + number + "]}");
      EXPECT_EQ(outcome.error, "");
      const auto first = outcome.text.find(number);
      EXPECT_NE(first, std::string::npos) << outcome.text;
      EXPECT_NE(outcome.text.find(number, first + 1), std::string::npos) << outcome.text;
    }
  });
}

TEST(ChatTemplate, ArgumentsOfEarlierCallsAreAnyText) {
  for_each_template_with_calls([](auto render_call) {
    for (const std::string text : {"[]", "5", "\"x\"", "null", "", " ", R"({"x": "Par)",
                                   R"({"x": NaN})", R"({"x": "\ud800"})", "{} {}"})
      EXPECT_EQ(render_call(text).error, "") << text;
  });
}

TEST(ChatTemplate, TheTextIsPrintedWhereATemplateTakesText) {
  const auto chat_template = ChatTemplate::parse(
      "{%- for m in messages if m.tool_calls %}{% set a = m.tool_calls[0].function.arguments %}"
      "{{ a if a is string else a | tojson }}{% endfor %}");
  const auto printed = [&](const std::string& arguments) {
    return chat_template.render({call_with(arguments), "", "", true, kNow});
  };
  EXPECT_EQ(printed(R"({"x": "Par)"), R"({"x": "Par)");
  EXPECT_EQ(printed("[1]"), "[1]");
  EXPECT_EQ(printed(R"({"x":1})"), R"({"x": 1})");
  EXPECT_EQ(printed(""), "{}");
}

// As DeepSeek's own templates do, which know of no objects.
TEST(ChatTemplate, ArgumentsAreTextsWhereATemplatePutsTextsTogether) {
  const auto chat_template = ChatTemplate::parse(
      "{%- for m in messages if m.tool_calls %}{{ '<' + m.tool_calls[0].function.arguments + '>' "
      "}}{% endfor %}");
  for (const std::string text : {R"({"x":1})", R"({"x": "Par)", "[]"})
    EXPECT_EQ(chat_template.render({call_with(text), "", "", true, kNow}), "<" + text + ">");
  const auto refusing = ChatTemplate::parse("{{ raise_exception('No calls.') }}");
  const auto outcome = render(refusing, {call_with("[]"), "", "", true, kNow});
  EXPECT_TRUE(outcome.error.ends_with("No calls.")) << outcome.error;
}

// What a request leaves out of a tool no template may miss. The server gives all of them parameters (server/chat/messages).
TEST(ChatTemplate, ToolsWithoutParametersAreShownByEveryTemplate) {
  const auto tool = [](const std::string& members) {
    return R"([{"type": "function", "function": {"name": "look_around", )" + members + "}}]";
  };
  const std::string full = tool(
      R"("description": "Looks.", "parameters": {"type": "object", "properties": {"x": {"type": "string", "description": "what"}}, "required": ["x"]})");
  int templates = 0;
  for (const auto& file : std::filesystem::directory_iterator(testdata("templates"))) {
    SCOPED_TRACE(file.path().stem().string());
    const auto chat_template = ChatTemplate::parse(read_text(file.path()), kSpecialTokens);
    const auto shown = [&](const std::string& tools) {
      return render(chat_template,
                    {R"([{"role": "user", "content": "hi"}])", tools, "", true, kNow});
    };
    const Outcome usual = shown(full);
    EXPECT_EQ(usual.error, "");
    const bool shows_tools = usual.text.find("look_around") != std::string::npos;
    templates += shows_tools;
    for (const char* members :
         {R"("description": "Looks.", "parameters": {"type": "object", "properties": {}})",
          R"("parameters": {"type": "object", "properties": {}})"}) {
      const Outcome outcome = shown(tool(members));
      EXPECT_EQ(outcome.error, "") << members;
      EXPECT_EQ(outcome.text.find("look_around") != std::string::npos, shows_tools) << members;
    }
  }
  EXPECT_GE(templates, 30);
}

// ---- Finding the template ------------------------------------------------------------------------

class TemplateFiles : public testing::Test {
 protected:
  std::string rendered(const std::string& tools = "", const std::string& kwargs = "") const {
    return ChatTemplate::load(folder_.path()).render({"[]", tools, kwargs, true, kNow});
  }
  TemporaryDirectory folder_;
};

TEST_F(TemplateFiles, OneInTokenizerConfig) {
  folder_.write("tokenizer_config.json", R"({"chat_template": "config {{ eos_token }}",
      "eos_token": {"content": "</s>", "special": true}, "bos_token": null})");
  EXPECT_EQ(rendered(), "config </s>");
}

TEST_F(TemplateFiles, NamedOnesInTokenizerConfig) {
  folder_.write("tokenizer_config.json", R"({"chat_template": [
      {"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"},
      {"name": "rag", "template": "documents"}]})");
  EXPECT_EQ(rendered(), "plain");
  EXPECT_EQ(rendered("[]"), "tools");
  EXPECT_EQ(rendered("", R"({"documents": [{}]})"), "documents");
  EXPECT_EQ(rendered("", R"({"documents": null})"), "plain");
  EXPECT_EQ(rendered("", R"({"title": "\"documents\""})"), "plain");
}

TEST_F(TemplateFiles, FilesOfTheirOwnWin) {
  folder_.write("tokenizer_config.json", R"({"chat_template": "config"})");
  folder_.write("chat_template.json", R"({"chat_template": "json"})");
  EXPECT_EQ(rendered(), "json");
  folder_.write("chat_template.jinja", "jinja");
  EXPECT_EQ(rendered(), "jinja");
  folder_.write("additional_chat_templates/tool_use.jinja", "more tools");
  EXPECT_EQ(rendered(), "jinja");
  EXPECT_EQ(rendered("[]"), "more tools");
}

TEST_F(TemplateFiles, SpecialTokensComeFromBothFiles) {
  folder_.write("chat_template.jinja",
                "{{ bos_token }}|{{ eos_token }}|{{ image_token }}|{{ cls_token }}");
  folder_.write("tokenizer_config.json", R"({"bos_token": "<b>", "model_specific_special_tokens":
      {"image_token": "<image>"}})");
  folder_.write("special_tokens_map.json",
                R"({"bos_token": "<other>", "eos_token": {"content": "<e>"}})");
  EXPECT_EQ(rendered(), "<b>|<e>|<image>|");
}

TEST_F(TemplateFiles, MissingOrBrokenOnesAreNamed) {
  const auto message = [&] {
    try {
      ChatTemplate::load(folder_.path());
    } catch (const Error& error) {
      return std::string(error.code() == Code::not_found ? "not found: " : "invalid: ") +
             error.what();
    }
    return std::string("loaded");
  };
  EXPECT_TRUE(message().starts_with("not found: ")) << message();
  folder_.write("tokenizer_config.json", R"({"chat_template": [{"name": "default"}]})");
  EXPECT_TRUE(message().starts_with("invalid: ")) << message();
  folder_.write("tokenizer_config.json", R"({"chat_template": null})");
  EXPECT_TRUE(message().starts_with("not found: ")) << message();
  folder_.write("chat_template.jinja", "fine\n{% if %}");
  EXPECT_NE(message().find("chat_template.jinja"), std::string::npos) << message();
  EXPECT_NE(message().find("line 2"), std::string::npos) << message();
}

// ---- Input ---------------------------------------------------------------------------------------

TEST(ChatTemplate, KeepsKeyOrderAndNumbersOfTheInput) {
  const auto chat_template = ChatTemplate::parse("{{ tools | tojson }}{{ extra }}");
  EXPECT_EQ(
      chat_template.render({"[]", R"([{"z": 1, "a": 1.0, "m": 9223372036854775807, "e": 1e3}])",
                            R"({"extra": "x"})", true, ""}),
      R"([{"z": 1, "a": 1.0, "m": 9223372036854775807, "e": 1000.0}]x)");
}

TEST(ChatTemplate, KwargsWinOverSpecialTokensButNotOverTheMessages) {
  const auto chat_template = ChatTemplate::parse("{{ bos_token }}", kSpecialTokens);
  EXPECT_EQ(render(chat_template, {"[]", "", R"({"bos_token": "mine"})", true, ""}).text, "mine");
  for (const std::string name : {"messages", "tools", "add_generation_prompt"}) {
    const auto outcome = render(chat_template, {"[]", "", "{\"" + name + "\": []}", true, ""});
    EXPECT_NE(outcome.error.find(name), std::string::npos) << outcome.error;
  }
}

TEST(ChatTemplate, RefusesBrokenInput) {
  const auto chat_template = ChatTemplate::parse("{{ messages }}");
  for (const auto& input : {ChatInput{"{}", "", "", true, ""}, ChatInput{"[", "", "", true, ""},
                            ChatInput{"[]", "[", "", true, ""}, ChatInput{"[]", "", "[]", true, ""},
                            ChatInput{"[\"\xff\"]", "", "", true, ""},
                            ChatInput{std::string(1000, '['), "", "", true, ""},
                            ChatInput{"[]", "", "", true, "yesterday"}}) {
    EXPECT_NE(render(chat_template, input).error, "") << input.messages_json;
  }
}

TEST(ChatTemplate, TellsTheTimeOfTheMachine) {
  const auto chat_template = ChatTemplate::parse("{{ strftime_now('%Y') | int > 2025 }}");
  EXPECT_EQ(chat_template.render({"[]", "", "", true, ""}), "True");
}

TEST(ChatTemplate, RendersFromManyThreadsAtOnce) {
  const auto chat_template =
      ChatTemplate::parse("{% for m in messages %}{{ m.content }}{% endfor %}");
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const auto text = std::to_string(t);
      const ChatInput input{R"([{"content": ")" + text + R"("}])", "", "", true, ""};
      for (int i = 0; i < 25; ++i) wrong += chat_template.render(input) != text;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// ---- Errors and bounds ---------------------------------------------------------------------------

TEST(ChatTemplate, ErrorsNameTheLine) {
  EXPECT_EQ(render("a\nb\n{{ raise_exception('No system role!') }}").error,
            "[chat_template] line 3: No system role!");
  EXPECT_NE(render("\n{{ messages[0].nope.never }}").error.find("line 2"), std::string::npos);
  EXPECT_THROW(ChatTemplate::parse("{% for %}"), Error);
  EXPECT_THROW(ChatTemplate::parse("{{ 'open"), Error);
  EXPECT_NE(render("{{ 1 | no_such_filter }}").error, "");
  EXPECT_NE(render("{% include 'other' %}").error, "");
}

TEST(ChatTemplate, HostileTemplatesEndInAnErrorSoon) {
  const std::string deep(60, '[');
  const std::string nested = deep + "ns.x" + std::string(60, ']');
  const std::string loops =
      "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}";
  const std::string grow = "{% for i in range(100000) %}{% set ns.x = ";
  for (const std::string& source :
       {loops, std::string("{% macro r(n) %}{{ r(n + 1) }}{% endmacro %}{{ r(0) }}"),
        std::string("{% for m in messages recursive %}{{ loop(messages) }}{% endfor %}"),
        "{% set ns = namespace(x='ab') %}" + grow + "ns.x + ns.x %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=[]) %}" + grow + nested + " %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=[]) %}" + grow + nested + " %}{% endfor %}{{ ns.x | tojson }}",
        std::string("{{ 'x' * 1000000000000 }}"),
        std::string("{{ range(100000) | list | tojson(indent='" + std::string(5000, ' ') +
                    "') }}")}) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_NE(render(source).error, "") << source.substr(0, 80);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
  }
}

TEST(ChatTemplate, DeepButFiniteNestingIsFreedWithoutOverflow) {
  const auto outcome = render(
      "{% set ns = namespace(x=[]) %}{% for i in range(100000) %}{% set ns.x = [[[ns.x]]] %}"
      "{% endfor %}{{ ns.x | string | length }}");
  EXPECT_EQ(outcome.text, std::to_string(2 * 300'001)) << outcome.error;
}

}  // namespace
}  // namespace pippin::text
