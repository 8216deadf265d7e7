// Stop strings of answers in every format: they look at what is said as text, and at nothing else. Oracle: the transcripts' own content.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/sanitized.h"
#include "engine/answer/answer.h"
#include "text/grammar_testing.h"
#include "text/harmony_testing.h"
#include "text/transcripts_testing.h"

namespace pippin::engine {
namespace {

using text::Transcript;

struct Said {
  std::string text, reasoning;
  std::vector<std::string> calls;  ///< names and arguments
  std::vector<std::string> told;   ///< tokens
  FinishReason finish = FinishReason::length;
  std::optional<std::size_t> stop_string;
};

class StopAnswer : public testing::TestWithParam<std::string> {
 protected:
  const text::Transcripts transcripts_{GetParam()};
  /// Whose marks are special tokens.
  const std::shared_ptr<const text::Tokenizer> tokenizer_ =
      transcripts_.format.has_channels() ? text::harmony_tokenizer() : text::tokenizer();

  Said answered(const Transcript& transcript, std::vector<std::string> stops) const {
    AnswerOptions options;
    options.parser = transcripts_.format.parser(transcript.prompt, transcript.tools);
    options.stop_strings = std::move(stops);
    options.list_tokens = true;
    const auto stream = std::make_shared<TokenStream>();
    Answer answer(stream, tokenizer_, std::move(options));
    for (const auto token : tokens_of(transcript.output)) stream->push(token);
    stream->finish(FinishReason::stop);
    Said said;
    while (const auto event = answer.poll()) add(*event, said);
    EXPECT_EQ(stream->cancelled(), said.stop_string.has_value());
    return said;
  }

  static void add(const ChatEvent& event, Said& said) {
    said.text += event.text;
    said.reasoning += event.reasoning;
    if (event.tool_call && !event.tool_call->name.empty())
      said.calls.push_back(event.tool_call->name);
    if (event.tool_call) said.calls.back() += event.tool_call->arguments;
    for (const auto& token : event.tokens) said.told.push_back(token.bytes);
    if (event.finish) said.finish = *event.finish;
    said.stop_string = event.stop_string;
  }

  const std::vector<std::int32_t>& tokens_of(const std::string& output) const {
    auto& tokens = tokens_[output];
    if (tokens.empty()) tokens = tokenizer_->encode(output);
    return tokens;
  }

  /// Calls `check` with each transcript and what it says without stop strings.
  template <class Check>
  void each(const Check& check) const {
    for (const auto& transcript : transcripts_.list) {
      SCOPED_TRACE(transcript.output);
      check(transcript, answered(transcript, {}));
    }
  }

 private:
  mutable std::map<std::string, std::vector<std::int32_t>> tokens_;  ///< by output
};

// Places that stop strings are taken from.
constexpr std::size_t text_stride = rounds(5, 29), others_stride = rounds(7, 61);

/// Up to three bytes of ASCII from there.
std::string scrap(const std::string& text, std::size_t at) {
  const auto some = text.substr(at, 3);
  const auto end = std::find_if(some.begin(), some.end(), [](char c) { return c < 0; });
  return {some.begin(), end};
}

TEST_P(StopAnswer, EndsWhereItsTextHasOne) {
  each([&](const Transcript& transcript, const Said& whole) {
    // A call between two texts parts them.
    if (!whole.calls.empty()) return;
    for (std::size_t at = 0; at < whole.text.size(); at += text_stride) {
      const auto stop = scrap(whole.text, at);
      if (stop.empty()) continue;
      const auto said = answered(transcript, {"never said", stop});
      EXPECT_EQ(said.text, whole.text.substr(0, whole.text.find(stop)));
      EXPECT_EQ(said.reasoning, whole.reasoning);
      EXPECT_EQ(said.finish, FinishReason::stop);
      EXPECT_EQ(said.stop_string, 1u);
    }
  });
}

TEST_P(StopAnswer, PassesOverReasoningAndCalls) {
  each([&](const Transcript& transcript, const Said& whole) {
    std::string others = whole.reasoning;
    for (const auto& call : whole.calls) others += call;
    others += transcript.output;  // its markup, too
    for (std::size_t at = 0; at < others.size(); at += others_stride) {
      const auto stop = scrap(others, at);
      if (stop.empty() || whole.text.find(stop) != std::string::npos) continue;
      const auto said = answered(transcript, {stop});
      EXPECT_EQ(said.text, whole.text) << stop;
      EXPECT_EQ(said.reasoning, whole.reasoning);
      EXPECT_EQ(said.calls, whole.calls);
      EXPECT_EQ(said.finish, whole.finish);
      EXPECT_FALSE(said.stop_string);
      EXPECT_EQ(said.told, whole.told);
    }
  });
}

// What is said before a text that is stopped is whole: calls of the same answer are to be run.
TEST_P(StopAnswer, CallsBeforeItStay) {
  each([&](const Transcript& transcript, const Said& whole) {
    const auto said =
        answered(transcript, {std::string(1, whole.text.empty() ? '\0' : whole.text.back())});
    const auto same = static_cast<std::ptrdiff_t>(said.calls.size());
    ASSERT_LE(said.calls.size(), whole.calls.size());
    EXPECT_TRUE(std::equal(said.calls.begin(), said.calls.end(), whole.calls.begin()));
    EXPECT_EQ(said.finish, said.stop_string && same == 0 ? FinishReason::stop : whole.finish);
  });
}

TEST_P(StopAnswer, TellsNoTokenBehindIt) {
  each([&](const Transcript& transcript, const Said& whole) {
    const auto words = whole.text.find(' ');
    if (words == std::string::npos || !whole.calls.empty()) return;
    const auto said = answered(transcript, {" "});
    ASSERT_LE(said.told.size(), whole.told.size());
    EXPECT_TRUE(std::equal(said.told.begin(), said.told.end(), whole.told.begin()));
    std::string told;
    for (const auto& token : said.told) told += token;
    // At most the token that the text ends in goes on.
    EXPECT_NE(told.rfind(said.text), std::string::npos) << told;
    const auto end = told.rfind(said.text) + said.text.size();
    EXPECT_LE(told.size() - end, said.told.empty() ? 0 : said.told.back().size()) << told;
  });
}

INSTANTIATE_TEST_SUITE_P(Families, StopAnswer, testing::ValuesIn(text::transcript_families()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace pippin::engine
