#include "engine/answer.h"

#include <gtest/gtest.h>

namespace pippin::engine {
namespace {

const auto tokenizer =
    text::Tokenizer::load(std::filesystem::path(PIPPIN_SOURCE_DIR) / "assets/demo-model");

TEST(Answer, CountsPicturesTokensWithoutAnEncoder) {
  const auto tokens = std::make_shared<TokenStream>();
  Answer answer(tokens, tokenizer, {}, {.tokens = 100, .media = 60, .history = 0});
  tokens->set_cached_tokens(32);
  tokens->set_encoded_tokens(25);
  tokens->push(tokenizer->encode("seven").front());
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
