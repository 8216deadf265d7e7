// Budgets and grammars of gpt-oss's messages, on a tokenizer whose special tokens are their marks.
#include "engine/constrain/channel_constraint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string_view>

#include "engine/constrain/maker.h"
#include "engine/constrain/testing.h"
#include "pippin/error.h"
#include "text/harmony_testing.h"

namespace pippin::engine {
namespace {

using text::harmony_tokenizer;
using Tokens = std::vector<std::int32_t>;

Tokens tokens_of(std::string_view text) { return harmony_tokenizer()->encode(text); }

std::int32_t mark(std::string_view spelling) {
  return harmony_tokenizer()->token_to_id(spelling).value();
}

ConstraintMaker& maker() {
  static ConstraintMaker instance(harmony_tokenizer(),
                                  text::OutputFormat::choose("harmony", "harmony", "", ""),
                                  {mark("<|return|>"), mark("<|call|>")});
  return instance;
}

Tokens allowed(Constraint& constraint) {
  return testing::allowed(constraint, harmony_tokenizer()->vocab_size());
}

bool allows(Constraint& constraint, std::int32_t token) {
  return testing::allows(constraint, harmony_tokenizer()->vocab_size(), token);
}

void accept(Constraint& constraint, std::string_view text) {
  testing::accept(constraint, *harmony_tokenizer(), text);
}

/// Takes what must come, as the scheduler does, and spells it.
std::string take_forced(Constraint& constraint) {
  std::string text;
  for (auto forced = constraint.forced(); !forced.empty(); forced = constraint.forced())
    for (const auto token : forced) {
      EXPECT_TRUE(allows(constraint, token));
      constraint.accept(token);
      text += harmony_tokenizer()->token_bytes(token);
    }
  return text;
}

constexpr std::string_view prompt = "<|start|>user<|message|>Hi<|end|><|start|>assistant";
const std::string thinking_prompt = std::string(prompt) + "<|channel|>analysis<|message|>";
constexpr std::string_view think = "<|channel|>analysis<|message|>";
constexpr std::string_view close = "<|end|><|start|>assistant";
constexpr std::string_view close_to_final = "<|end|><|start|>assistant<|channel|>final<|message|>";

ChatRequest with_budget(std::int64_t tokens, ChatRequest request = {}) {
  request.thinking_budget = tokens;
  return request;
}

ChatRequest choosing() {
  ChatRequest request;
  request.format = {ResponseFormat::Kind::choice, R"(["yes", "no"])"};
  return request;
}

ChatRequest with_tools(ToolChoice choice = {}) {
  ChatRequest request;
  request.tools_json =
      R"([{"type": "function", "function": {"name": "now", "strict": true, "parameters": {"type": "object",
          "properties": {"zone": {"enum": ["UTC"]}}, "required": ["zone"], "additionalProperties": false}}}])";
  request.tool_choice = std::move(choice);
  return request;
}

constexpr std::string_view call_head =
    "<|channel|>commentary to=functions.now <|constrain|>json<|message|>";

/// Thoughts of so many tokens.
void think_of(Constraint& constraint, int tokens) {
  for (int i = 0; i < tokens; ++i) {
    EXPECT_TRUE(constraint.forced().empty()) << i;
    constraint.accept(tokens_of("a").front());
  }
}

TEST(ChannelConstraint, ABudgetClosesTheThoughtByItsSpecialTokens) {
  const auto constraint = maker().make(with_budget(5), prompt);
  EXPECT_FALSE(constraint->restricts());
  accept(*constraint, think);
  think_of(*constraint, 5);
  const auto forced = tokens_of(close_to_final);
  EXPECT_EQ(forced.front(), mark("<|end|>"));
  EXPECT_EQ(forced.back(), mark("<|message|>"));
  EXPECT_EQ(constraint->forced(), forced);
  EXPECT_EQ(allowed(*constraint), Tokens{mark("<|end|>")});
  EXPECT_EQ(take_forced(*constraint), close_to_final);
  EXPECT_FALSE(constraint->restricts());  // the answer is free
  think_of(*constraint, 9);
}

TEST(ChannelConstraint, ABudgetThatSufficesChangesNothing) {
  const auto constraint = maker().make(with_budget(50), prompt);
  accept(*constraint, "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant");
  accept(*constraint, "<|channel|>final<|message|>");
  for (int i = 0; i < 60; ++i) constraint->accept(tokens_of("a").front());
  EXPECT_FALSE(constraint->restricts());
  EXPECT_TRUE(constraint->forced().empty());
}

// Headers, the commentary for the user and a model's own end are no thoughts.
TEST(ChannelConstraint, ThoughtsOfAllMessagesCount) {
  const auto constraint = maker().make(with_budget(4), prompt);
  accept(*constraint, think);
  think_of(*constraint, 2);
  accept(*constraint, close);
  accept(*constraint, "<|channel|>commentary<|message|>");
  think_of(*constraint, 9);
  accept(*constraint, close);
  accept(*constraint, think);
  think_of(*constraint, 2);
  EXPECT_EQ(take_forced(*constraint), close_to_final);
  // Another one ends before it begins.
  accept(*constraint, close);
  accept(*constraint, think);
  EXPECT_EQ(take_forced(*constraint), close_to_final);
}

TEST(ChannelConstraint, SpelledMarksEndNoThought) {
  const auto constraint = maker().make(with_budget(20), prompt);
  accept(*constraint, think);
  for (const char c : std::string("<|end|><|"))
    for (const auto token : tokens_of(std::string(1, c))) constraint->accept(token);
  EXPECT_FALSE(constraint->restricts());
  think_of(*constraint, 20 - 9);
  EXPECT_EQ(take_forced(*constraint), close_to_final);
}

TEST(ChannelConstraint, ABudgetOfNoneBeginsWithTheAnswer) {
  EXPECT_EQ(take_forced(*maker().make(with_budget(0), prompt)), "<|channel|>final<|message|>");
  EXPECT_EQ(take_forced(*maker().make(with_budget(0), thinking_prompt)), close_to_final);
  const auto chosen = maker().make(with_budget(0, choosing()), prompt);
  EXPECT_EQ(take_forced(*chosen), "<|channel|>final");
  EXPECT_FALSE(allows(*chosen, tokens_of("a").front()));
}

TEST(ChannelConstraint, ThePromptMayOpenTheThought) {
  const auto constraint = maker().make(with_budget(3), thinking_prompt);
  think_of(*constraint, 3);
  EXPECT_EQ(take_forced(*constraint), close_to_final);
  const auto chosen = maker().make(choosing(), thinking_prompt);
  accept(*chosen, "Anything goes.");
  accept(*chosen, close_to_final);
  accept(*chosen, "yes");
  EXPECT_TRUE(chosen->finished());
}

TEST(ChannelConstraint, StructuredOutputFollowsTheClosedThought) {
  const auto constraint = maker().make(with_budget(3, choosing()), prompt);
  accept(*constraint, think);
  for (int i = 0; i < 3; ++i) constraint->accept(tokens_of("a").front());
  // The grammar goes on from the header that was begun by force.
  EXPECT_EQ(take_forced(*constraint), std::string(close) + "<|channel|>final");
  EXPECT_FALSE(constraint->finished());
  accept(*constraint, "<|message|>");
  EXPECT_FALSE(allows(*constraint, tokens_of("a").front()));
  accept(*constraint, "no");
  EXPECT_TRUE(constraint->finished());
}

TEST(ChannelConstraint, AForcedCallFollowsTheClosedThought) {
  const auto constraint = maker().make(with_budget(3, with_tools({.required = true})), prompt);
  accept(*constraint, think);
  for (int i = 0; i < 3; ++i) constraint->accept(tokens_of("a").front());
  const auto forced = take_forced(*constraint);
  const auto head = std::string(close) + std::string(call_head);
  const auto whole = head + R"({"zone": "UTC"})";
  EXPECT_TRUE(forced.starts_with(head) && whole.starts_with(forced)) << forced;
  accept(*constraint, whole.substr(forced.size()));
  EXPECT_TRUE(constraint->finished());
}

// Tools that are merely offered may be called behind a closed thought, but nothing may be thought there.
TEST(ChannelConstraint, OfferedToolsFollowTheClosedThought) {
  auto request = with_tools();
  request.tools_json = R"([{"type": "function", "function": {"name": "now"}}])";
  EXPECT_EQ(maker().make(request, prompt), nullptr);
  for (const bool calls : {true, false}) {
    const auto constraint = maker().make(with_budget(3, request), prompt);
    EXPECT_FALSE(constraint->restricts());
    accept(*constraint, think);
    think_of(*constraint, 3);
    EXPECT_EQ(take_forced(*constraint), std::string(close) + "<|channel|>");
    EXPECT_FALSE(allows(*constraint, tokens_of("analysis").front()));
    if (calls) {
      accept(*constraint, call_head.substr(std::string_view("<|channel|>").size()));
      accept(*constraint, R"({"any": [1]})");
      EXPECT_TRUE(constraint->finished());
    } else {
      accept(*constraint, "final<|message|>It is late.");
      EXPECT_TRUE(allows(*constraint, mark("<|return|>")));
    }
  }
}

// A call's arguments are no thought, though a model may send them in the channel of thoughts.
TEST(ChannelConstraint, ACallInTheThoughtsChannelIsNotCut) {
  const auto constraint = maker().make(with_budget(2, with_tools()), prompt);
  accept(*constraint, "<|channel|>analysis to=functions.now code<|message|>{\"zone\": \"UTC\"}");
  EXPECT_FALSE(constraint->restricts());
  const auto untold = maker().make(with_budget(2), prompt);
  for (const auto token : tokens_of("<|channel|>analysis to=python code<|message|>1 + 1"))
    untold->accept(token);
  EXPECT_TRUE(untold->restricts());
}

// What the user is told before a call would be part of an answer that has a form.
TEST(ChannelConstraint, NoPreambleBeforeStructuredOutput) {
  const auto answer = maker().make(choosing(), prompt);
  accept(*answer, "<|channel|>");
  EXPECT_FALSE(allows(*answer, tokens_of("commentary").front()));
  accept(*answer, "analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>yes");
  EXPECT_TRUE(answer->finished());
  const auto call = maker().make(with_tools({.required = true}), prompt);
  accept(*call, "<|channel|>commentary<|message|>Let me see.<|end|><|start|>assistant");
  accept(*call, call_head);
}

TEST(ChannelConstraint, TextSpellsNoMarkInAGrammar) {
  const auto constraint = maker().make(choosing(), prompt);
  accept(*constraint, think);
  EXPECT_FALSE(allows(*constraint, mark("<|return|>")));
  EXPECT_FALSE(allows(*constraint, mark("<|channel|>")));
  EXPECT_TRUE(allows(*constraint, mark("<|end|>")));
}

TEST(ChannelConstraint, RefusesByField) {
  ChatRequest negative = with_budget(-1);
  try {
    maker().make(negative, prompt);
    FAIL() << "a negative budget";
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), "thinking_budget");
  }
  // A message that is begun otherwise can't become what is asked for.
  const auto final_prompt = std::string(prompt) + "<|channel|>final<|message|>";
  try {
    maker().make(with_tools({.required = true}), final_prompt);
    FAIL() << "a call in the final channel";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid_argument);
    EXPECT_EQ(error.field(), "tools");
  }
}

// Without reasoning told apart there is nothing to limit.
TEST(ChannelConstraint, NoThoughtsNoBudget) {
  ConstraintMaker calls_alone(harmony_tokenizer(),
                              text::OutputFormat::choose("harmony", "none", "", ""),
                              {mark("<|return|>")});
  EXPECT_EQ(calls_alone.make(with_budget(3), prompt), nullptr);
}

/// One random answer: what the constraint leaves free is one of the marks and of the words of headers, in any order.
class Walk {
 public:
  Walk(const ChatRequest& request, std::string_view begun, std::uint32_t seed)
      : constraint_(maker().make(request, begun)),
        parser_(text::OutputFormat::choose("harmony", "harmony", "", "")
                    .parser(begun, request.tools_json)),
        random_(seed) {}

  /// Tokens that the parser takes for thoughts.
  int num_thought(int tokens) {
    for (int i = 0; i < tokens && !constraint_->finished(); ++i) {
      const auto forced = constraint_->forced();
      take(forced.empty() ? choose() : forced.front());
    }
    return num_thought_;
  }

 private:
  std::int32_t choose() {
    static const std::vector<Tokens> words = [] {
      std::vector<Tokens> all;
      for (const auto spelling : text::channels::marks()) all.push_back(tokens_of(spelling));
      for (const char* word :
           {"analysis", "final", "commentary", "to=functions.now", "assistant", "a", "b"})
        all.push_back(tokens_of(word));
      all.push_back(tokens_of(think));
      all.push_back(tokens_of(close));
      return all;
    }();
    if (next_.empty()) next_ = words[random_() % words.size()];
    auto token = next_.front();
    next_.erase(next_.begin());
    if (!constraint_->restricts()) return token;
    const auto tokens = allowed(*constraint_);
    if (std::find(tokens.begin(), tokens.end(), token) != tokens.end()) return token;
    next_.clear();
    EXPECT_FALSE(tokens.empty());
    return tokens.at(random_() % tokens.size());
  }

  void take(std::int32_t token) {
    constraint_->accept(token);
    const auto spelling = harmony_tokenizer()->token_bytes(token);
    const bool is_mark = harmony_tokenizer()->is_special(token);
    for (const auto& event : is_mark ? parser_->feed_marker(spelling) : parser_->feed(spelling))
      num_thought_ += event.kind == text::OutputEvent::Kind::reasoning;
  }

  std::unique_ptr<Constraint> constraint_;
  std::unique_ptr<text::OutputParser> parser_;
  std::minstd_rand random_;
  Tokens next_;
  int num_thought_ = 0;
};

TEST(ChannelConstraint, NoAnswerThinksBeyondItsBudget) {
  const ChatRequest asked[] = {{}, choosing(), with_tools(), with_tools({.required = true})};
  int most = 0;
  for (std::uint32_t seed = 0; seed < 400; ++seed) {
    const auto budget = static_cast<int>(seed % 5);
    const auto& begun = seed % 3 ? std::string(prompt) : thinking_prompt;
    Walk walk(with_budget(budget, asked[seed / 5 % 4]), begun, seed + 1);
    const auto thought = walk.num_thought(60);
    ASSERT_LE(thought, budget) << seed;
    most = std::max(most, thought);
  }
  EXPECT_EQ(most, 4);
}

TEST(ChannelConstraint, AnAnswerGoesOnWithItsBeginning) {
  const auto constraint = maker().make(choosing(), prompt, "<|channel|>final<|message|>ye");
  EXPECT_TRUE(allows(*constraint, tokens_of("s").front()));
  EXPECT_FALSE(allows(*constraint, tokens_of("n").front()));
  const auto thinking = maker().make(choosing(), prompt, std::string(think) + "Anything");
  EXPECT_TRUE(allows(*thinking, tokens_of("a").front()));
  EXPECT_THROW(maker().make(choosing(), prompt, "<|channel|>final<|message|>maybe"), Error);
}

}  // namespace
}  // namespace pippin::engine
