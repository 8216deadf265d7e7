// Answers of gpt-oss's format by their tokens, where each mark is one special token: from token stream to events.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/answer/answer.h"
#include "text/harmony_testing.h"
#include "text/parsers/registry.h"

namespace pippin::engine {
namespace {

using text::harmony_tokenizer;

const char* const tools = R"([{"type": "function", "function": {"name": "f"}}])";

std::vector<std::int32_t> tokens_of(std::string_view text) {
  return harmony_tokenizer()->encode(text);
}

std::int32_t mark(std::string_view spelling) {
  return harmony_tokenizer()->token_to_id(spelling).value();
}

/// Tokens that spell the text with no special token among them: as a model does that writes about its own marks.
std::vector<std::int32_t> spelled(std::string_view text) {
  std::vector<std::int32_t> tokens;
  for (const char c : text)
    for (const auto token : tokens_of(std::string(1, c))) tokens.push_back(token);
  return tokens;
}

std::vector<std::int32_t> joined(std::initializer_list<std::vector<std::int32_t>> parts) {
  std::vector<std::int32_t> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

struct Outcome {
  std::string text, reasoning;
  std::vector<std::pair<std::string, std::string>> calls;  ///< name, arguments
  FinishReason finish = FinishReason::length;
  Usage usage;
};

struct Asked {
  std::string tools_json = tools;
  bool parallel_tool_calls = true;
  std::vector<std::string> stop_strings = {};
  FinishReason reason = FinishReason::stop;
};

Outcome answered(const std::vector<std::int32_t>& tokens, Asked asked = {}) {
  const auto stream = std::make_shared<TokenStream>();
  AnswerOptions options;
  options.parser = text::OutputFormat::choose("harmony", "harmony", "", "")
                       .parser("<|start|>assistant", asked.tools_json);
  options.parallel_tool_calls = asked.parallel_tool_calls;
  options.stop_strings = asked.stop_strings;
  Answer answer(stream, harmony_tokenizer(), std::move(options));
  for (const auto token : tokens) stream->push(token);
  stream->finish(asked.reason);
  Outcome outcome;
  while (const auto event = answer.poll()) {
    outcome.text += event->text;
    outcome.reasoning += event->reasoning;
    if (event->tool_call && !event->tool_call->name.empty())
      outcome.calls.emplace_back(event->tool_call->name, "");
    if (event->tool_call) outcome.calls.back().second += event->tool_call->arguments;
    if (event->finish) outcome.finish = *event->finish;
    outcome.usage = event->usage;
  }
  return outcome;
}

const std::string thought = "<|channel|>analysis<|message|>I think, é 梨.<|end|><|start|>assistant";
const std::string call =
    "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\": 1}";
const std::string said = "<|channel|>final<|message|>I say 梨.";

TEST(HarmonyAnswer, MarksAreSingleTokensWithoutText) {
  for (const auto spelling : text::channels::marks()) {
    EXPECT_EQ(tokens_of(spelling), std::vector{mark(spelling)}) << spelling;
    EXPECT_TRUE(harmony_tokenizer()->is_special(mark(spelling))) << spelling;
    EXPECT_EQ(harmony_tokenizer()->token_bytes(mark(spelling)), spelling);
  }
}

TEST(HarmonyAnswer, TellsItsPartsApart) {
  const auto outcome = answered(tokens_of(thought + said));
  EXPECT_EQ(outcome.reasoning, "I think, é 梨.");
  EXPECT_EQ(outcome.text, "I say 梨.");
  EXPECT_EQ(outcome.finish, FinishReason::stop);
  EXPECT_TRUE(outcome.calls.empty());
  // Its header counts to it.
  const auto thought_tokens = tokens_of("<|channel|>analysis<|message|>I think, é 梨.").size();
  EXPECT_EQ(outcome.usage.reasoning_tokens, static_cast<std::int64_t>(thought_tokens));
}

// The end token itself (<|call|>) never reaches the reader.
TEST(HarmonyAnswer, ACallIsCompleteWhereItsTokenEndsTheAnswer) {
  const auto outcome = answered(tokens_of(thought + call));
  EXPECT_EQ(outcome.calls, (std::vector<std::pair<std::string, std::string>>{{"f", "{\"a\": 1}"}}));
  EXPECT_EQ(outcome.finish, FinishReason::tool_calls);
  EXPECT_EQ(outcome.text, "");
  const auto cut =
      answered(tokens_of(call.substr(0, call.size() - 3)), {.reason = FinishReason::length});
  EXPECT_EQ(cut.calls.front().second, "{\"a\":");
  EXPECT_EQ(cut.finish, FinishReason::length);
}

TEST(HarmonyAnswer, ATokenThatEndsNothingEndsTheCall) {
  const auto tokens = tokens_of(call + "<|call|><|start|>assistant" + call);
  EXPECT_EQ(answered(tokens).calls.size(), 2u);
  const auto one = answered(tokens, {.parallel_tool_calls = false});
  EXPECT_EQ(one.calls.size(), 1u);
  EXPECT_EQ(one.finish, FinishReason::tool_calls);
}

TEST(HarmonyAnswer, WithoutToolsACallIsText) {
  EXPECT_EQ(answered(tokens_of(call), {.tools_json = ""}).text, "{\"a\": 1}");
}

// Text may spell any mark: it is none.
TEST(HarmonyAnswer, SpelledMarksAreContent) {
  for (const auto spelling : text::channels::marks()) {
    const auto words = spelled("a " + std::string(spelling) + "final b");
    for (const auto token : words) ASSERT_FALSE(harmony_tokenizer()->is_special(token));
    const std::string expected = "a " + std::string(spelling) + "final b";
    EXPECT_EQ(answered(joined({tokens_of("<|channel|>final<|message|>"), words})).text, expected);
    const auto thinking = answered(joined({tokens_of("<|channel|>analysis<|message|>"), words,
                                           tokens_of("<|end|><|start|>assistant" + said)}));
    EXPECT_EQ(thinking.reasoning, expected);
    EXPECT_EQ(thinking.text, "I say 梨.");
    const auto head = tokens_of(call.substr(0, call.find('{')));
    const auto arguments = spelled("{\"a\": \"" + std::string(spelling) + "\"}");
    const auto calling = answered(joined({head, arguments}));
    ASSERT_EQ(calling.calls.size(), 1u);
    EXPECT_EQ(calling.calls.front().second, "{\"a\": \"" + std::string(spelling) + "\"}");
    EXPECT_EQ(calling.finish, FinishReason::tool_calls);
  }
}

// In a header, too: it names no channel, and ends with the token alone.
TEST(HarmonyAnswer, SpelledMarksEndNoHeader) {
  const auto outcome = answered(joined(
      {tokens_of("<|channel|>analysis "), spelled("<|message|>"), tokens_of("<|message|>Hm.")}));
  EXPECT_EQ(outcome.reasoning, "Hm.");
  EXPECT_EQ(outcome.text, "");
}

// A character whose bytes are several tokens is whole where no mark cuts it, and lost where one does.
TEST(HarmonyAnswer, MarksCutBetweenCharacters) {
  const auto pear = tokens_of("梨");
  ASSERT_GT(pear.size(), 1u);
  const std::vector<std::int32_t> begun(pear.begin(), pear.end() - 1);
  const auto head = tokens_of("<|channel|>analysis<|message|>ok");
  const auto outcome = answered(joined({head, pear, begun, tokens_of("<|end|><|start|>assistant"),
                                        tokens_of("<|channel|>final<|message|>"), pear}));
  EXPECT_EQ(outcome.reasoning, "ok梨\uFFFD");
  EXPECT_EQ(outcome.text, "梨");
}

TEST(HarmonyAnswer, StopStringsDoNotReachAcrossMarks) {
  const auto tokens = tokens_of(
      "<|channel|>analysis<|message|>One st<|end|><|start|>assistant<|channel|>final<|message|>op. "
      "No stop here.");
  const auto outcome = answered(tokens, {.stop_strings = {"stop"}});
  EXPECT_EQ(outcome.reasoning, "One st");
  EXPECT_EQ(outcome.text, "op. No ");
  EXPECT_EQ(outcome.finish, FinishReason::stop);
}

}  // namespace
}  // namespace pippin::engine
