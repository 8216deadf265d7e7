// Which tokens an answer may have in each of its sections, on the demo model's tokenizer.
#include "engine/constrain/answer_constraint.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <memory>
#include <string_view>

#include "engine/constrain/maker.h"
#include "engine/constrain/testing.h"
#include "pippin/error.h"

namespace pippin::engine {
namespace {

constexpr std::int32_t end_of_turn = 2, think = 7, end_of_think = 8, tool_call = 9;

std::shared_ptr<const text::Tokenizer> tokenizer() {
  static const auto loaded =
      text::Tokenizer::load(std::filesystem::path(PIPPIN_SOURCE_DIR) / "assets/demo-model");
  return loaded;
}

ConstraintMaker& maker() {
  static ConstraintMaker instance(
      tokenizer(), text::OutputFormat::choose("hermes", "think", "", ""), {end_of_turn});
  return instance;
}

std::vector<std::int32_t> allowed(Constraint& constraint) {
  return testing::allowed(constraint, tokenizer()->vocab_size());
}

bool allows(Constraint& constraint, std::int32_t token) {
  return testing::allows(constraint, tokenizer()->vocab_size(), token);
}

void accept(Constraint& constraint, std::string_view text) {
  testing::accept(constraint, *tokenizer(), text);
}

std::int32_t token(std::string_view text) {
  const auto tokens = tokenizer()->encode(text);
  EXPECT_EQ(tokens.size(), 1u) << text;
  return tokens.front();
}

ChatRequest asking_for(ResponseFormat::Kind kind, std::string text) {
  ChatRequest request;
  request.format = {kind, std::move(text)};
  return request;
}

const ChatRequest yes_or_no = asking_for(ResponseFormat::Kind::choice, R"(["yes", "no"])");
constexpr std::string_view fresh = "<|im_start|>assistant\n",
                           opened = "<|im_start|>assistant\n<think>\n",
                           closed = "<|im_start|>assistant\n<think>\n\n</think>\n\n";

TEST(AnswerConstraint, NothingAskedIsNone) {
  EXPECT_EQ(maker().make(ChatRequest(), fresh), nullptr);
  EXPECT_EQ(maker().make(CompletionRequest()), nullptr);
}

TEST(AnswerConstraint, AnAnswerMayBeginWithReasoning) {
  const auto constraint = maker().make(yes_or_no, fresh);
  EXPECT_EQ(constraint->escape(), think);
  EXPECT_FALSE(allows(*constraint, end_of_turn));
  EXPECT_FALSE(allows(*constraint, token("a")));
  accept(*constraint, "<think>\nAnything goes, but");
  EXPECT_EQ(constraint->escape(), -1);
  EXPECT_FALSE(constraint->restricts());
  EXPECT_EQ(constraint->instead_of(end_of_turn), end_of_think);  // it has to answer
  EXPECT_EQ(constraint->instead_of(token("a")), token("a"));
  accept(*constraint, "</think>\n\n");
  EXPECT_FALSE(allows(*constraint, token("a")));
  EXPECT_FALSE(allows(*constraint, think));
  EXPECT_FALSE(constraint->finished());
  accept(*constraint, "yes");
  EXPECT_TRUE(constraint->finished());
}

TEST(AnswerConstraint, OrDoWithout) {
  const auto constraint = maker().make(yes_or_no, fresh);
  accept(*constraint, "no");
  EXPECT_TRUE(constraint->finished());
}

TEST(AnswerConstraint, ThePromptSaysWhereItBegins) {
  const auto in_reasoning = maker().make(yes_or_no, opened),
             in_answer = maker().make(yes_or_no, closed);
  EXPECT_FALSE(in_reasoning->restricts());
  EXPECT_FALSE(allows(*in_answer, token("a")));
  EXPECT_EQ(in_answer->escape(), -1);
  EXPECT_FALSE(allows(*in_answer, think));
  EXPECT_FALSE(allows(*in_answer, token("\n")));
  accept(*in_reasoning, "So</think>");
  EXPECT_TRUE(allows(*in_reasoning, token("\n")));
  accept(*in_reasoning, "no");
  EXPECT_TRUE(in_reasoning->finished());
}

TEST(AnswerConstraint, BreaksBehindReasoningHaveAnEnd) {
  const auto constraint = maker().make(yes_or_no, opened);
  accept(*constraint, "</think>");
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(constraint->forced().empty());
    ASSERT_TRUE(allows(*constraint, token("\n")));
    constraint->accept(token("\n"));
  }
  EXPECT_FALSE(allows(*constraint, token("\n")));
}

TEST(AnswerConstraint, ABudgetClosesTheReasoning) {
  ChatRequest request;
  request.thinking_budget = 5;
  const auto constraint = maker().make(request, fresh);
  EXPECT_FALSE(constraint->restricts());
  constraint->accept(think);
  for (int i = 0; i < 4; ++i) {
    constraint->accept(token("a"));
    EXPECT_TRUE(constraint->forced().empty());
  }
  constraint->accept(token("a"));
  EXPECT_TRUE(constraint->restricts());
  EXPECT_EQ(constraint->forced(), std::vector{end_of_think});
  EXPECT_EQ(allowed(*constraint), std::vector{end_of_think});
  constraint->accept(end_of_think);
  EXPECT_TRUE(constraint->forced().empty());
  EXPECT_FALSE(constraint->restricts());
  for (int i = 0; i < 9; ++i) constraint->accept(token("a"));
  EXPECT_TRUE(constraint->forced().empty());
}

TEST(AnswerConstraint, ABudgetOfNoneClosesWhatThePromptOpened) {
  ChatRequest request;
  request.thinking_budget = 0;
  const auto constraint = maker().make(request, opened);
  EXPECT_EQ(allowed(*constraint), std::vector{end_of_think});
  constraint->accept(end_of_think);
  EXPECT_FALSE(constraint->restricts());
}

TEST(AnswerConstraint, ABudgetAndAGrammarGoTogether) {
  auto request = yes_or_no;
  request.thinking_budget = 2;
  const auto constraint = maker().make(request, fresh);
  accept(*constraint, "<think>");
  constraint->accept(token("a"));
  constraint->accept(token("a"));
  EXPECT_EQ(constraint->forced(), std::vector{end_of_think});
  accept(*constraint, "</think>\n\nyes");
  EXPECT_TRUE(constraint->finished());
  request.thinking_budget = 0;
  EXPECT_EQ(maker().make(request, fresh)->escape(), -1);
}

TEST(AnswerConstraint, WhatMayNotComeThrows) {
  const auto constraint = maker().make(yes_or_no, closed);
  EXPECT_THROW(constraint->accept(token("a")), Error);
}

// ---- tools

constexpr std::string_view tools =
    R"([{"type": "function", "function": {"name": "now", "strict": true, "parameters": {"type": "object",
        "properties": {"zone": {"enum": ["UTC"]}}, "required": ["zone"], "additionalProperties": false}}}])";

ChatRequest with_tools(ToolChoice choice) {
  ChatRequest request;
  request.tools_json = tools;
  request.tool_choice = std::move(choice);
  return request;
}

constexpr std::string_view call =
    R"(<tool_call>{"name": "now", "arguments": {"zone": "UTC"}}</tool_call>)";

TEST(AnswerConstraint, CallsCanBeRequired) {
  const auto constraint = maker().make(with_tools({.required = true}), closed);
  EXPECT_EQ(allowed(*constraint), std::vector{tool_call});
  accept(*constraint, call);
  EXPECT_TRUE(allows(*constraint, end_of_turn));
}

TEST(AnswerConstraint, StrictArgumentsHoldWhereTheAnswerIsFree) {
  EXPECT_EQ(maker().make(with_tools({}), closed), nullptr);
  const auto constraint = maker().make(with_tools({.strict = true}), closed);
  EXPECT_TRUE(allows(*constraint, token("a")));
  accept(*constraint, call);
  const auto other = maker().make(with_tools({.strict = true}), closed);
  accept(*other, R"(<tool_call>{"name": "now", "arguments": {"zone": ")");
  EXPECT_FALSE(allows(*other, token("a")));
}

TEST(AnswerConstraint, JsonOrCalls) {
  auto request = with_tools({});
  request.format = {ResponseFormat::Kind::json_schema, R"({"enum": [17]})"};
  accept(*maker().make(request, closed), call);
  const auto constraint = maker().make(request, closed);
  accept(*constraint, "17");
  EXPECT_TRUE(constraint->finished());
}

TEST(AnswerConstraint, ChannelsSayWhatIsAskedBehindThoughts) {
  ConstraintMaker channels(tokenizer(), text::OutputFormat::choose("harmony", "harmony", "", ""),
                           {end_of_turn});
  const auto forced = channels.make(with_tools({.required = true}), fresh);
  accept(*forced,
         R"(<|channel|>commentary to=functions.now <|constrain|>json<|message|>{"zone": "UTC"})");
  EXPECT_TRUE(forced->finished());
  const auto json =
      channels.make(asking_for(ResponseFormat::Kind::json_schema, R"({"enum": [17]})"), fresh);
  accept(*json, "<|channel|>final <|constrain|>json<|message|>17");
  EXPECT_TRUE(json->finished());
  const auto choice = channels.make(yes_or_no, fresh);
  accept(*choice, "<|channel|>final<|message|>");
  EXPECT_FALSE(allows(*choice, token("{")));
  const auto strict = channels.make(with_tools({.strict = true}), fresh);
  accept(*strict, "<|channel|>final<|message|>It is late.");
  EXPECT_TRUE(allows(*strict, end_of_turn));
  const auto lark = channels.make(
      asking_for(ResponseFormat::Kind::grammar, "root ::= \"a\" | \"b\" root"), fresh);
  accept(*lark, "<|channel|>final<|message|>bba");
  EXPECT_TRUE(lark->finished());
}

TEST(AnswerConstraint, RefusesByField) {
  const auto field = [](ConstraintMaker& of, const ChatRequest& request) -> std::string {
    try {
      of.make(request, fresh);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::invalid_argument);
      return error.field();
    }
    return "none";
  };
  EXPECT_EQ(field(maker(), asking_for(ResponseFormat::Kind::json_schema, R"({"not": {}})")),
            "response_format");
  auto request = with_tools({.required = true});
  request.format = yes_or_no.format;
  EXPECT_EQ(field(maker(), request), "none");  // a call alone has no text to restrict
  request.tool_choice = {};
  EXPECT_EQ(field(maker(), request), "response_format");  // a choice is no JSON
  request = with_tools({.required = true});
  request.tools_json =
      R"([{"type": "function", "function": {"name": "f", "parameters": {"not": {}}}}])";
  EXPECT_EQ(field(maker(), request), "none");  // what can be kept of the schema is
  request.tools_json =
      R"([{"type": "function", "function": {"name": "f", "strict": true, "parameters": {"not": {}}}}])";
  EXPECT_EQ(field(maker(), request), "tools.0.function.parameters.not");

  ConstraintMaker plain(tokenizer(), text::OutputFormat::choose("none", "none", "", ""),
                        {end_of_turn}),
      channels(tokenizer(), text::OutputFormat::choose("harmony", "harmony", "", ""),
               {end_of_turn}),
      words(tokenizer(), text::OutputFormat::choose("granite", "granite", "", ""), {end_of_turn});
  EXPECT_EQ(field(plain, with_tools({.required = true})), "tool_choice");
  EXPECT_EQ(field(channels, asking_for(ResponseFormat::Kind::regex, "(")), "response_format");
  auto bad = with_tools({.required = true});
  bad.tools_json = request.tools_json;
  EXPECT_EQ(field(channels, bad), "tools.0.function.parameters.not");
  ChatRequest budget;
  budget.thinking_budget = 3;
  EXPECT_EQ(field(plain, budget), "none");  // it does not think
  EXPECT_EQ(field(channels, budget), "thinking_budget");
  EXPECT_EQ(field(words, budget), "thinking_budget");
  EXPECT_EQ(field(words, yes_or_no), "none");
}

TEST(AnswerConstraint, AnAnswerGoesOnWithItsBeginning) {
  const auto constraint = maker().make(yes_or_no, fresh, "ye");
  EXPECT_TRUE(allows(*constraint, token("s")));
  EXPECT_FALSE(allows(*constraint, token("e")));
  EXPECT_EQ(constraint->escape(), -1);
  accept(*constraint, "s");
  EXPECT_TRUE(constraint->finished());
  EXPECT_TRUE(maker().make(yes_or_no, closed, "no")->finished());
}

TEST(AnswerConstraint, ABeginningThatIsNotAllowedIsRefused) {
  for (const std::string_view begun : {"maybe", " yes", "yes, but"}) {
    try {
      maker().make(yes_or_no, fresh, begun);
      ADD_FAILURE() << begun;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::invalid_argument);
      EXPECT_EQ(error.field(), "response_format");
    }
  }
}

TEST(AnswerConstraint, ABeginningMayHaveItsThought) {
  const auto behind = maker().make(yes_or_no, fresh, "<think>\n\n</think>\n\nn");
  EXPECT_TRUE(allows(*behind, token("o")));
  EXPECT_FALSE(allows(*behind, token("a")));
  const auto within = maker().make(yes_or_no, fresh, "<think>\nAnything goes");
  EXPECT_FALSE(within->restricts());
  EXPECT_EQ(within->instead_of(end_of_turn), end_of_think);
  accept(*within, ", but</think>\n\n");
  EXPECT_FALSE(allows(*within, token("a")));
}

TEST(AnswerConstraint, ABudgetIsForWhatTheModelThinksItself) {
  ChatRequest request;
  request.thinking_budget = 2;
  const auto constraint = maker().make(request, fresh, "<think>\na a a a a");
  EXPECT_FALSE(constraint->restricts());
  constraint->accept(token("a"));
  constraint->accept(token("a"));
  EXPECT_EQ(constraint->forced(), std::vector{end_of_think});
  request.thinking_budget = 0;
  EXPECT_EQ(maker().make(request, fresh, "<think>\na")->forced(), std::vector{end_of_think});
}

std::shared_ptr<const Grammars> prepared(const ChatRequest& request) {
  std::promise<std::shared_ptr<const Grammars>> ready;
  maker().prepare(request, [&](auto grammars) { ready.set_value(std::move(grammars)); });
  return ready.get_future().get();
}

TEST(AnswerConstraint, WhatWasPreparedIsNotCompiledAgain) {
  EXPECT_EQ(prepared(ChatRequest()), nullptr);
  ChatRequest request;
  request.format = {ResponseFormat::Kind::regex, "prepared[0-9]{3}", "guided_regex"};
  request.grammars = prepared(request);
  ASSERT_NE(request.grammars, nullptr);
  maker().clear();
  const auto compiled = maker().stats().compiled;
  EXPECT_NE(maker().make(request, fresh), nullptr);
  EXPECT_EQ(maker().stats().compiled, compiled);
}

TEST(AnswerConstraint, WhatCouldNotBePreparedIsToldLater) {
  ChatRequest request;
  request.format = {ResponseFormat::Kind::regex, "(", "guided_regex"};
  request.grammars = prepared(request);
  ASSERT_NE(request.grammars, nullptr);
  try {
    maker().make(request, fresh);
    ADD_FAILURE() << "it was compiled";
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), "guided_regex");
  }
}

}  // namespace
}  // namespace pippin::engine
