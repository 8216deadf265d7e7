// Answers that go on with what the prompt has begun of them. Oracle: the same answer when the model writes all of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/sanitized.h"
#include "engine/answer/answer.h"
#include "text/grammar_testing.h"
#include "text/harmony_testing.h"
#include "text/transcripts_testing.h"

namespace pippin::engine {
namespace {

namespace fs = std::filesystem;

struct Said {
  std::string text, reasoning;
  std::vector<std::pair<std::string, std::string>> calls;  ///< name, arguments
  FinishReason finish = FinishReason::length;
};

Said said_by(Answer& answer) {
  Said said;
  while (const auto event = answer.poll()) {
    said.text += event->text;
    said.reasoning += event->reasoning;
    if (const auto& call = event->tool_call) {
      if (!call->name.empty()) {
        EXPECT_EQ(call->index, static_cast<int>(said.calls.size()));
        said.calls.emplace_back(call->name, "");
      }
      said.calls.back().second += call->arguments;
    }
    if (event->finish) said.finish = *event->finish;
  }
  return said;
}

/// Harmony's marks are tokens, not text.
bool is_in_mark(std::string_view output, std::size_t at) {
  const auto mark = output.rfind("<|", at - 1);
  return mark != std::string_view::npos && output.find("|>", mark) + 2 > at;
}

class BegunAnswer : public testing::TestWithParam<std::string> {
 protected:
  const text::Transcripts transcripts_{GetParam()};
  const std::shared_ptr<const text::Tokenizer> tokenizer_ =
      transcripts_.format.has_channels() ? text::harmony_tokenizer() : text::tokenizer();

  Said answered(const std::string& begun, const std::string& rest) const {
    AnswerOptions options;
    options.parser = transcripts_.format.parser("", transcripts_.list.front().tools);
    options.begun = begun;
    const auto stream = std::make_shared<TokenStream>();
    Answer answer(stream, tokenizer_, std::move(options));
    for (const auto token : tokenizer_->encode(rest)) stream->push(token);
    stream->finish(FinishReason::stop);
    return said_by(answer);
  }
};

std::size_t num_whole(const Said& all, const Said& rest) {
  return all.calls.size() - rest.calls.size();
}

// Wherever the model takes over: text and reasoning are told from there on, a call that is open there as a whole.
TEST_P(BegunAnswer, SaysTheRestOfTheSame) {
  for (const auto& [output, prompt, tools] : transcripts_.list) {
    if (tools->empty() || !prompt.empty()) continue;
    SCOPED_TRACE(output);
    const auto all = answered("", output);
    for (std::size_t at = 1; at < output.size(); at += rounds(1, 13)) {
      if ((output[at] & 0xC0) == 0x80) continue;
      const auto pieces = std::pair(output.substr(0, at), output.substr(at));
      if (transcripts_.format.has_channels() && is_in_mark(output, at)) continue;
      SCOPED_TRACE("begun: " + pieces.first);
      const auto rest = answered(pieces.first, pieces.second);
      EXPECT_TRUE(all.text.ends_with(rest.text)) << rest.text;
      EXPECT_TRUE(all.reasoning.ends_with(rest.reasoning)) << rest.reasoning;
      // White space apart, nothing is told twice or not at all.
      EXPECT_LE(rest.text.size(), pieces.second.size());
      ASSERT_LE(rest.calls.size(), all.calls.size());
      EXPECT_TRUE(
          std::equal(rest.calls.begin(), rest.calls.end(),
                     all.calls.begin() + static_cast<std::ptrdiff_t>(num_whole(all, rest))));
      EXPECT_TRUE(rest.calls.empty() || rest.finish == all.finish);
      if (HasFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, BegunAnswer, testing::ValuesIn(text::transcript_families()),
                         [](const auto& info) { return info.param; });

Said continued(const std::string& begun, const std::string& rest,
               const std::vector<std::string>& stops = {}) {
  const auto tokenizer = text::tokenizer();
  AnswerOptions options;
  options.parser = text::OutputFormat::choose("hermes", "think", "", "")
                       .parser("", R"([{"type": "function", "function": {"name": "f"}}])");
  options.begun = begun;
  options.stop_strings = stops;
  const auto stream = std::make_shared<TokenStream>();
  Answer answer(stream, tokenizer, std::move(options));
  for (const auto token : tokenizer->encode(rest)) stream->push(token);
  stream->finish(FinishReason::stop);
  return said_by(answer);
}

TEST(AnswerGoesOn, KeepsTheSpaceBetween) {
  EXPECT_EQ(continued("The capital is", " Paris.").text, " Paris.");
  EXPECT_EQ(continued("The capital is ", "Paris.").text, "Paris.");
  EXPECT_EQ(continued("Two lines:\n", "\nHere.").text, "\nHere.");
}

TEST(AnswerGoesOn, IsBehindItsThoughtWhereTextWasGiven) {
  const auto said = continued("<think>\n\n</think>\n\nI say: ", "<think> is a tag.");
  EXPECT_EQ(said.text, "<think> is a tag.");
  EXPECT_EQ(said.reasoning, "");
}

TEST(AnswerGoesOn, GoesOnThinkingWhereAThoughtWas) {
  const auto said = continued("<think>\nFrance, so", " Paris.\n</think>\n\nParis.");
  EXPECT_EQ(said.reasoning, " Paris.");
  EXPECT_EQ(said.text, "Paris.");
}

TEST(AnswerGoesOn, LooksForStopStringsInWhatFollows) {
  EXPECT_EQ(continued("stop, he said", " and said. stop", {"stop"}).text, " and said. ");
}

TEST(AnswerGoesOn, TellsACallThatItOpens) {
  const auto said = continued("Look:\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\"",
                              ": 1}}\n</tool_call>");
  ASSERT_EQ(said.calls.size(), 1u);
  EXPECT_EQ(said.calls.front(), std::pair(std::string("f"), std::string("{\"a\": 1}")));
  EXPECT_EQ(said.text, "");
  EXPECT_EQ(said.finish, FinishReason::tool_calls);
}

// Tokenizers that write a space before each word, but for a text's first one.
TEST(AnswerGoesOn, IsNoTextOfItsOwn) {
  const auto path = fs::path(PIPPIN_SOURCE_DIR) / "src/text/testdata/tokenizers";
  int checked = 0;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (!entry.is_directory()) continue;
    const auto gguf = entry.path() / "tokenizer.gguf";
    const auto tokenizer = text::Tokenizer::load(fs::exists(gguf) ? gguf : entry.path());
    const auto before = tokenizer->encode("it is", false),
               all = tokenizer->encode("it is so", false);
    if (!std::equal(before.begin(), before.end(), all.begin()) ||
        tokenizer->decode(all) != "it is so")
      continue;
    AnswerOptions options;
    options.tokens_before = before;
    const auto stream = std::make_shared<TokenStream>();
    Answer answer(stream, tokenizer, std::move(options));
    for (auto i = before.size(); i < all.size(); ++i) stream->push(all[i]);
    stream->finish(FinishReason::stop);
    EXPECT_EQ(said_by(answer).text, " so") << entry.path();
    ++checked;
  }
  EXPECT_GE(checked, 8);
}

}  // namespace
}  // namespace pippin::engine
