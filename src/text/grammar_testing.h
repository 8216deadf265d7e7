// Grammars' tests: the demo model's tokenizer, and answers put to a grammar token by token.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "text/grammar.h"

namespace pippin::text {

// Tokens of the demo model's vocabulary.
constexpr std::int32_t end_of_turn = 2, tool_call = 9;

inline std::shared_ptr<const Tokenizer> tokenizer() {
  static const auto loaded =
      Tokenizer::load(std::filesystem::path(PIPPIN_SOURCE_DIR) / "assets/demo-model");
  return loaded;
}

inline GrammarCompiler& compiler() {
  static GrammarCompiler instance(tokenizer(), std::vector{end_of_turn});
  return instance;
}

inline std::vector<std::uint32_t> mask_of(Matcher& matcher, std::int64_t vocabulary = 4096) {
  std::vector<std::uint32_t> words(mask_words(vocabulary), 0xffffffffu);
  matcher.fill(words);
  return words;
}

inline bool has(const std::vector<std::uint32_t>& mask, std::int32_t token) {
  return (mask[static_cast<std::size_t>(token) / 32] >> (token % 32)) & 1u;
}

/// Whether the text as the tokenizer cuts it is a whole answer. Each token is also looked up in the mask.
inline bool accepts(const Grammar& grammar, std::string_view text) {
  auto matcher = compiler().compile(grammar);
  for (const auto token : tokenizer()->encode(text)) {
    const bool allowed = !matcher.finished() && matcher.allows(token);
    EXPECT_EQ(has(mask_of(matcher), token), allowed) << text;
    if (!allowed) return false;
    matcher.accept(token);
  }
  return matcher.finished() || has(mask_of(matcher), end_of_turn);
}

}  // namespace pippin::text
