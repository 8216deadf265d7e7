// Answers from tokens of the demo model's tokenizer: usage, stop strings, special tokens, calls and reasoning.
#include "engine/answer/answer.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "text/parsers/registry.h"
#include "text/tokenizer.h"

namespace pippin::engine {
namespace {

const char* const tools = R"([{"type": "function", "function": {"name": "f"}}])";

std::shared_ptr<const text::Tokenizer> tokenizer() {
  return text::Tokenizer::load(std::filesystem::path(PIPPIN_SOURCE_DIR) / "assets/demo-model");
}

struct Outcome {
  std::string text, reasoning;
  std::vector<std::string> calls;  ///< name and arguments
  std::string token_bytes;         ///< of the tokens that were told, joined
  std::vector<std::int32_t> tokens;
  FinishReason finish = FinishReason::stop;
  std::optional<std::size_t> stop_string;
  Usage usage;
  bool cancelled = false;
};

/// The answer's events when these tokens were generated and the model stopped.
Outcome answered(const std::vector<std::int32_t>& tokens, AnswerOptions options,
                 FinishReason reason = FinishReason::stop) {
  const auto stream = std::make_shared<TokenStream>();
  Answer answer(stream, tokenizer(), std::move(options));
  for (const auto token : tokens) stream->push(token);
  stream->finish(reason);
  Outcome outcome;
  while (const auto event = answer.poll()) {
    EXPECT_LE((event->text != "") + (event->reasoning != "") + event->tool_call.has_value(), 1);
    outcome.text += event->text;
    for (const auto& token : event->tokens) {
      outcome.token_bytes += token.bytes;
      outcome.tokens.push_back(token.token);
    }
    outcome.reasoning += event->reasoning;
    if (event->tool_call && event->tool_call->name.empty())
      outcome.calls.back() += event->tool_call->arguments;
    else if (event->tool_call)
      outcome.calls.push_back(event->tool_call->name);
    EXPECT_EQ(answer.finished(), event->finish.has_value());
    if (event->finish) outcome.finish = *event->finish;
    outcome.stop_string = event->stop_string;
    outcome.usage = event->usage;
  }
  outcome.cancelled = stream->cancelled();
  return outcome;
}

AnswerOptions options_for(const std::string& tool_parser) {
  AnswerOptions options;
  options.parser = text::OutputFormat::choose(tool_parser, "think", "", "").parser("", tools);
  return options;
}

std::vector<std::int32_t> tokens_of(const std::string& text) { return tokenizer()->encode(text); }

const std::string two_calls =
    "<think>\nHm.\n</think>\n\nLook:\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": "
    "1}}\n</tool_call>\n"
    "<tool_call>\n{\"name\": \"f\"}\n</tool_call>";

TEST(Answer, TellsItsPartsApart) {
  const auto outcome = answered(tokens_of(two_calls), options_for("hermes"));
  EXPECT_EQ(outcome.reasoning, "Hm.");
  EXPECT_EQ(outcome.text, "Look:");
  EXPECT_EQ(outcome.calls, (std::vector<std::string>{"f{\"a\": 1}", "f{}"}));
  EXPECT_EQ(outcome.finish, FinishReason::tool_calls);
  EXPECT_FALSE(outcome.stop_string);
}

TEST(Answer, CountsTheTokensOfReasoning) {
  const auto thought = tokens_of("<think>\nOne and two are three.");
  const auto all = tokens_of("<think>\nOne and two are three.\n</think>\n\nThree.");
  const auto outcome = answered(all, options_for("hermes"));
  EXPECT_EQ(outcome.usage.completion_tokens, static_cast<std::int64_t>(all.size()) + 1);
  EXPECT_NEAR(outcome.usage.reasoning_tokens, static_cast<std::int64_t>(thought.size()), 2);
  EXPECT_EQ(answered(tokens_of("Three."), options_for("hermes")).usage.reasoning_tokens, 0);
}

TEST(Answer, WithoutAParserAllIsText) {
  const auto outcome = answered(tokens_of(two_calls), {});
  EXPECT_EQ(outcome.text, two_calls);
  EXPECT_EQ(outcome.finish, FinishReason::stop);
}

TEST(Answer, EndsBehindTheFirstCallWhereOnlyOneIsWanted) {
  auto options = options_for("hermes");
  options.parallel_tool_calls = false;
  const auto outcome = answered(tokens_of(two_calls), std::move(options));
  EXPECT_EQ(outcome.calls, std::vector<std::string>{"f{\"a\": 1}"});
  EXPECT_EQ(outcome.finish, FinishReason::tool_calls);
  EXPECT_TRUE(outcome.cancelled);
}

// One that the model left broken itself is a call: clients tell it what is wrong with that.
TEST(Answer, ACutOffCallSaysSo) {
  const auto tokens = tokens_of("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1");
  const auto cut = answered(tokens, options_for("hermes"), FinishReason::length);
  EXPECT_EQ(cut.calls, std::vector<std::string>{"f{\"a\": 1"});
  EXPECT_EQ(cut.finish, FinishReason::length);
  const auto broken = answered(tokens, options_for("hermes"), FinishReason::stop);
  EXPECT_EQ(broken.calls, cut.calls);
  EXPECT_EQ(broken.finish, FinishReason::tool_calls);
}

TEST(Answer, ACallThatIsCutInItsMarkupHoldsNone) {
  const auto tokens = tokens_of("<tool_call>\n<function=f>\n<parameter=a>\nParis\n</par");
  const auto outcome = answered(tokens, options_for("qwen3_coder"), FinishReason::length);
  EXPECT_EQ(outcome.calls, std::vector<std::string>{"f{\"a\": "});  // its type is not known yet
  const auto begun = answered(tokens_of("So <tool_c"), options_for("hermes"), FinishReason::length);
  EXPECT_EQ(begun.text, "So");
}

TEST(Answer, StopStringsEndWhatTheModelSays) {
  auto options = options_for("hermes");
  options.stop_strings = {"never", "ok:"};
  const auto outcome = answered(tokens_of(two_calls), std::move(options));
  EXPECT_EQ(outcome.text, "Lo");
  EXPECT_EQ(outcome.reasoning, "Hm.");
  EXPECT_TRUE(outcome.calls.empty());
  EXPECT_EQ(outcome.finish, FinishReason::stop);
  EXPECT_EQ(outcome.stop_string, 1u);
  EXPECT_TRUE(outcome.cancelled);
}

AnswerOptions listing_tokens(std::vector<std::string> stops = {}) {
  AnswerOptions options;
  options.list_tokens = true;
  options.stop_strings = std::move(stops);
  return options;
}

TEST(Answer, TellsItsTokens) {
  const auto tokens = tokens_of("Größe 苹果 🙂, and so on.");
  const auto outcome = answered(tokens, listing_tokens());
  EXPECT_EQ(outcome.tokens, tokens);
  EXPECT_EQ(outcome.token_bytes, outcome.text);
  EXPECT_TRUE(answered(tokens, {}).tokens.empty());
}

TEST(Answer, TellsTokensNoEarlierThanTheirText) {
  const auto stream = std::make_shared<TokenStream>();
  Answer answer(stream, tokenizer(), listing_tokens({"🙂!"}));
  std::string text, bytes;
  for (const auto token : tokens_of("so 🙂? 🙂🙂 苹果 ok")) {
    stream->push(token);
    while (const auto event = answer.poll()) {
      text += event->text;
      for (const auto& told : event->tokens) bytes += told.bytes;
    }
    // A token may reach beyond the text into what is held back, but begins within it.
    EXPECT_TRUE(bytes.starts_with(text));
    EXPECT_LE(bytes.size(), text.size() + 8);
  }
  stream->finish(FinishReason::stop);
  while (const auto event = answer.poll()) {
    text += event->text;
    for (const auto& told : event->tokens) bytes += told.bytes;
  }
  EXPECT_EQ(bytes, text);
  EXPECT_EQ(text, "so 🙂? 🙂🙂 苹果 ok");
}

TEST(Answer, TellsNoTokenBehindAStopString) {
  const std::string said = "one two three four five";
  const auto outcome = answered(tokens_of(said), listing_tokens({"three"}));
  EXPECT_EQ(outcome.text, "one two ");
  EXPECT_TRUE(said.starts_with(outcome.token_bytes));
  // At most the token that the text ends in goes on.
  EXPECT_GE(outcome.token_bytes.size(), outcome.text.size());
  EXPECT_LE(outcome.token_bytes.size(), outcome.text.size() + 5);
}

TEST(Answer, TellsMarkupsTokensInOrder) {
  auto options = options_for("hermes");
  options.list_tokens = true;
  const auto tokens = tokens_of(two_calls);
  EXPECT_EQ(answered(tokens, std::move(options)).tokens, tokens);
}

TEST(Answer, IncludesTheStopStringWhereAskedTo) {
  auto options = listing_tokens({"three"});
  options.include_stop_strings = true;
  const auto outcome = answered(tokens_of("one two three four"), std::move(options));
  EXPECT_EQ(outcome.text, "one two three");
  EXPECT_TRUE(outcome.token_bytes.starts_with(outcome.text));
}

TEST(Answer, PassesOverStopStringsThatComeTooEarly) {
  const auto tokens = tokens_of("a stop b stop c");
  AnswerOptions options;
  options.stop_strings = {"stop"};
  options.min_tokens = static_cast<std::int64_t>(tokens_of("a stop b").size());
  EXPECT_EQ(answered(tokens, std::move(options)).text, "a stop b ");
}

TEST(Answer, BeginsWithThePromptWhereAskedTo) {
  const auto stream = std::make_shared<TokenStream>();
  AnswerOptions options = listing_tokens();
  options.prompt.ids = {4, 5};
  Answer answer(stream, tokenizer(), std::move(options));
  for (const auto token : tokens_of("one two")) stream->push(token);
  stream->finish(FinishReason::stop);
  EXPECT_EQ(answer.poll()->prompt_tokens, (std::vector<std::int32_t>{4, 5}));
  while (const auto event = answer.poll()) EXPECT_TRUE(event->prompt_tokens.empty());
}

/// Sees text and two of the demo model's special tokens.
class MarkerParser final : public text::OutputParser {
 public:
  const std::vector<std::string_view>& markers() const override {
    static const std::vector<std::string_view> all{"<|vision_start|>", "<|no_such_token|>",
                                                   "<think>"};
    return all;
  }
  text::OutputEvents feed(std::string_view text) override { return say(std::string(text)); }
  text::OutputEvents feed_marker(std::string_view marker) override {
    return say("[" + std::string(marker) + "]");
  }
  text::OutputEvents finish(text::AnswerEnd) override { return say("."); }

 private:
  static text::OutputEvents say(std::string text) {
    return {{text::OutputEvent::Kind::text, std::move(text), 0, "", 0}};
  }
};

TEST(Answer, ShowsTheParserItsSpecialTokensInPlace) {
  AnswerOptions options;
  options.parser = std::make_unique<MarkerParser>();
  options.stop_strings = {"ab"};  // not across a marker
  const auto outcome =
      answered(tokens_of("a<|vision_start|>b<|vision_end|>c<think>"), std::move(options));
  EXPECT_EQ(outcome.text, "a[<|vision_start|>]bc<think>.");
}

TEST(Answer, CountsPicturesTokensWithoutAnEncoder) {
  const auto tokens = std::make_shared<TokenStream>();
  AnswerOptions options;
  options.prompt = {.tokens = 100, .media = 60, .history = 0, .ids = {}};
  Answer answer(tokens, tokenizer(), std::move(options));
  tokens->set_cached_tokens(32);
  tokens->set_encoded_tokens(25);
  tokens->push(tokenizer()->encode("seven").front());
  tokens->finish(FinishReason::stop);
  Usage usage;
  while (const auto event = answer.poll()) usage = event->usage;
  EXPECT_EQ(usage.prompt_tokens, 100);
  EXPECT_EQ(usage.cached_tokens, 32);
  EXPECT_EQ(usage.media_cached, 35);
  EXPECT_EQ(usage.completion_tokens, 2);
}

}  // namespace
}  // namespace pippin::engine
