// Oracle: a naive search that adds one byte at a time and looks at the whole text each time.
#include "text/stop_strings.h"

#include <gtest/gtest.h>

#include <random>

namespace pippin::text {
namespace {

struct Outcome {
  std::string text;
  std::optional<std::size_t> matched;
  bool operator==(const Outcome&) const = default;
};

Outcome naive(const std::vector<std::string>& stops, const std::string& text) {
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const auto so_far = std::string_view(text).substr(0, size);
    std::optional<std::size_t> longest;
    for (std::size_t i = 0; i < stops.size(); ++i) {
      const bool ends = !stops[i].empty() && so_far.ends_with(stops[i]);
      if (ends && (!longest || stops[i].size() > stops[*longest].size())) longest = i;
    }
    if (longest) return {text.substr(0, size - stops[*longest].size()), longest};
  }
  return {text, std::nullopt};
}

Outcome streamed(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
  StopStrings matcher(stops);
  std::string text;
  for (const auto& piece : pieces) text += matcher.push(piece);
  text += matcher.finish();
  return {text, matcher.matched()};
}

std::vector<std::string> split(const std::string& text, std::mt19937& rng) {
  std::vector<std::string> pieces;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t size = 1 + rng() % (rng() % 2 ? 2 : 7);
    pieces.push_back(text.substr(at, size));
    at += size;
  }
  return pieces;
}

std::string random_text(std::mt19937& rng, std::size_t max_size) {
  std::string text;
  for (std::size_t size = rng() % (max_size + 1); size > 0; --size) text += "aab"[rng() % 3];
  return text;
}

TEST(StopStrings, AnySplitGivesWhatTheNaiveSearchGives) {
  std::mt19937 rng(5);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::string> stops(rng() % 4);
    for (auto& stop : stops) stop = random_text(rng, 5);
    const auto text = random_text(rng, 24);
    const auto expected = naive(stops, text);
    EXPECT_EQ(streamed(stops, split(text, rng)), expected) << text;
    EXPECT_EQ(streamed(stops, {text}), expected) << text;
  }
}

TEST(StopStrings, HoldsBackOnlyWhatMayBecomeAStop) {
  StopStrings matcher({"<|end|>", "STOP"});
  EXPECT_EQ(matcher.push("hello <"), "hello ");
  EXPECT_EQ(matcher.push("b> ST"), "<b> ");
  EXPECT_EQ(matcher.push("AR"), "STAR");
  EXPECT_EQ(matcher.push("<|en"), "");
  EXPECT_FALSE(matcher.matched());
  EXPECT_EQ(matcher.push("d|> and more"), "");
  EXPECT_EQ(matcher.matched(), 0u);
  EXPECT_EQ(matcher.push("later"), "");
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopStrings, GivesBackWhatWasHeldWhenTheStreamEnds) {
  StopStrings matcher({"STOP"});
  EXPECT_EQ(matcher.push("a STO"), "a ");
  EXPECT_EQ(matcher.finish(), "STO");
  EXPECT_FALSE(matcher.matched());
}

TEST(StopStrings, NeverSplitsACharacter) {
  StopStrings matcher({"é!", "🙂🍎"});
  EXPECT_EQ(matcher.push("caf"), "caf");
  EXPECT_EQ(matcher.push("é"), "");
  EXPECT_EQ(matcher.push("?"), "é?");
  EXPECT_EQ(matcher.push("x🙂"), "x");
  EXPECT_EQ(matcher.push("🙂"), "🙂");
  EXPECT_EQ(matcher.push("🍎"), "");
  EXPECT_EQ(matcher.matched(), 1u);
}

TEST(StopStrings, WithoutStopsEverythingPasses) {
  StopStrings none({});
  EXPECT_EQ(none.push("text"), "text");
  StopStrings empty({"", ""});
  EXPECT_EQ(empty.push("text"), "text");
  EXPECT_FALSE(empty.matched());
}

TEST(StopStrings, MayBeIncluded) {
  StopStrings stops({"</s>", "never"}, true);
  EXPECT_EQ(stops.push("one</"), "one");
  EXPECT_EQ(stops.push("s>two"), "</s>");
  EXPECT_EQ(stops.matched(), 0u);
  EXPECT_EQ(stops.push("three"), "");
}

TEST(StopStrings, ArePassedOverWithWhatWasHeldBack) {
  StopStrings stops({"stop"});
  EXPECT_EQ(stops.push("a st"), "a ");
  EXPECT_EQ(stops.pass("op b"), "stop b");
  EXPECT_FALSE(stops.matched());
  EXPECT_EQ(stops.push(" stop"), " ");
  EXPECT_TRUE(stops.matched());
}

}  // namespace
}  // namespace pippin::text
