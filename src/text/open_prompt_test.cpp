// Oracle: what transformers' continue_final_message makes of the same messages in Jinja2, committed under testdata/expected
// (tools/templates).
#include "text/open_prompt.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "base/json.h"
#include "pippin/error.h"
#include "text/test_files.h"

namespace pippin::text {
namespace {

constexpr const char* now = "2026-11-22T19:32:12";

ChatTemplate template_of(std::string_view name) {
  return ChatTemplate::parse(read_text(testdata("templates/" + std::string(name) + ".jinja")),
                             {{"bos_token", "<s>"},
                              {"eos_token", "</s>"},
                              {"pad_token", "<pad>"},
                              {"unk_token", "<unk>"}});
}

std::string text_in(const json::object& object, std::string_view key) {
  const auto* member = object.if_contains(key);
  return member ? json::value_to<std::string>(*member) : "";
}

std::vector<Message> messages_of(const json::object& conversation) {
  std::vector<Message> messages;
  for (const auto& value : conversation.at("messages").as_array()) {
    const auto& object = value.as_object();
    Message message{text_in(object, "role"), {{text_in(object, "content"), nullptr}}, ""};
    if (const auto* reasoning = object.if_contains("reasoning_content"))
      message.extra_json = json::serialize(json::object{{"reasoning_content", *reasoning}});
    messages.push_back(std::move(message));
  }
  return messages;
}

ChatInput input_of(const json::object& conversation) {
  ChatInput input;
  if (const auto* tools = conversation.if_contains("tools"))
    input.tools_json = json::serialize(*tools);
  if (const auto* kwargs = conversation.if_contains("kwargs"))
    input.kwargs_json = json::serialize(*kwargs);
  input.now = now;
  return input;
}

TEST(OpenPrompt, IsAsTransformersRendersIt) {
  const auto expected = read_json_object(testdata("expected/continuations.json"));
  const auto cases = parse_json(read_text(testdata("continuations.json")), "continuations");
  EXPECT_GE(expected.size(), 30u);
  for (const auto& [name, results] : expected) {
    const auto chat_template = template_of(name);
    for (const auto& value : cases.as_array()) {
      const auto& conversation = value.as_object();
      const auto& result = results.at(conversation.at("name").as_string()).as_object();
      SCOPED_TRACE(std::string(name) + ", " + text_in(conversation, "name"));
      const auto render = [&] {
        return render_open(chat_template, messages_of(conversation), input_of(conversation));
      };
      if (result.contains("text"))
        EXPECT_EQ(render().text, text_in(result, "text"));
      else
        EXPECT_THROW(render(), Error);
    }
  }
}

// What a model would have written up to there, whatever the template puts before an answer that it is asked for.
TEST(OpenPrompt, TellsWhereTheAnswerBegins) {
  const auto begun = [](std::string_view name, Message last, const char* kwargs = "") {
    ChatInput input;
    input.kwargs_json = kwargs;
    input.now = now;
    const auto prompt =
        render_open(template_of(name), {{"user", {{"Hi.", nullptr}}, ""}, std::move(last)}, input);
    return prompt.text.substr(prompt.answer);
  };
  const Message said{"assistant", {{"The capital is", nullptr}}, ""};
  const Message tagged{"assistant", {{"<tool_call>\n{", nullptr}}, ""};
  const Message thought{"assistant", {}, R"({"reasoning_content": "France, so"})"};
  EXPECT_EQ(begun("qwen2_5", said), "The capital is");
  EXPECT_EQ(begun("qwen3", said), "<think>\n\n</think>\n\nThe capital is");
  EXPECT_EQ(begun("qwen3", said, R"({"enable_thinking": false})"), "The capital is");
  EXPECT_EQ(begun("qwen3", thought), "<think>\nFrance, so");
  EXPECT_EQ(begun("harmony", said), "<|channel|>final<|message|>The capital is");
  // Its template opens a thought where an answer is asked for, but not in what was said.
  EXPECT_EQ(begun("deepseek_r1", said), "The capital is");
  EXPECT_EQ(begun("deepseek_r1", tagged), "<tool_call>\n{");
}

TEST(OpenPrompt, AThoughtThatNoTemplateShowsGoesOnWhereItOpensOne) {
  const std::vector<Message> messages{{"user", {{"Hi.", nullptr}}, ""},
                                      {"assistant", {}, R"({"reasoning_content": "So"})"}};
  const auto prompt = render_open(template_of("deepseek_r1"), messages, {}, "<think>");
  EXPECT_TRUE(prompt.text.ends_with("<｜Assistant｜><think>\nSo")) << prompt.text;
  EXPECT_EQ(prompt.text.substr(prompt.answer), "So");
  EXPECT_THROW(render_open(template_of("qwen2_5"), messages, {}, "<think>"), Error);
}

std::string refusal_of(std::vector<Message> messages) {
  try {
    render_open(template_of("qwen2_5"), messages, {});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid_argument);
    EXPECT_EQ(error.field(), "messages");
    return error.what();
  }
  return "";
}

TEST(OpenPrompt, RefusesWhatHasNoOpenEnd) {
  const Message user{"user", {{"Hi.", nullptr}}, ""};
  EXPECT_NE(refusal_of({}), "");
  EXPECT_NE(refusal_of({user}), "");
  EXPECT_NE(
      refusal_of({user, {"assistant", {{"Look:", nullptr}}, R"({"tool_calls": [{"id": "a"}]})"}}),
      "");
  // It shows no reasoning.
  EXPECT_NE(refusal_of({user, {"assistant", {}, R"({"reasoning_content": "Hm"})"}}), "");
  EXPECT_EQ(refusal_of({user, {"assistant", {{"Look:", nullptr}}, R"({"tool_calls": []})"}}), "");
}

}  // namespace
}  // namespace pippin::text
