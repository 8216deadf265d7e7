#include "engine/answer/cache_break.h"

#include <gtest/gtest.h>

namespace pippin::engine {
namespace {

// Not before main(): where the tree is missing, that would end the program, and every other test with it.
const text::Tokenizer& tokenizer() {
  static const auto loaded =
      text::Tokenizer::load(std::filesystem::path(PIPPIN_SOURCE_DIR) / "assets/demo-model");
  return *loaded;
}

CacheDivergence at(std::int64_t position, const std::string& cached, const std::string& wanted) {
  return {position, tokenizer().encode(cached), tokenizer().encode(wanted)};
}

TEST(CacheBreak, ShowsThePositionAndBothTextsOnOneLine) {
  const auto line = describe_break(at(40, "six\n<|im_end|>", "seven"), 500, tokenizer());
  ASSERT_TRUE(line);
  EXPECT_NE(line->find("(500 tokens) were found up to token 40 only"), std::string::npos) << *line;
  EXPECT_NE(line->find("the cache has \"six\\n<|im_end|>\", this prompt \"seven\""),
            std::string::npos)
      << *line;
  EXPECT_EQ(line->find('\n'), std::string::npos);
}

TEST(CacheBreak, IsNoneInWhatIsNew) {
  EXPECT_FALSE(describe_break(at(0, "a", "b"), 0, tokenizer()));
  EXPECT_FALSE(describe_break(at(500, "a", "b"), 500, tokenizer()));
  EXPECT_TRUE(describe_break(at(499, "a", "b"), 500, tokenizer()));
}

TEST(CacheBreak, ShowsAPageAtMostAndNoControlCharacters) {
  CacheDivergence divergence = at(0, std::string(4000, 'x'), "a\x1b[31m");
  const auto line = describe_break(divergence, 1, tokenizer());
  ASSERT_TRUE(line);
  EXPECT_LT(line->size(), 1000u);
  EXPECT_EQ(line->find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace pippin::engine
