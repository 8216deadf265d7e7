// What restrictions of an answer allow, for their tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/constrain/constraint.h"
#include "text/tokenizer.h"

namespace pippin::engine::testing {

inline std::vector<std::int32_t> allowed(Constraint& constraint, std::int32_t vocab_size) {
  std::vector<std::uint32_t> words((static_cast<std::size_t>(vocab_size) + 31) / 32);
  constraint.fill(words);
  std::vector<std::int32_t> tokens;
  for (std::int32_t t = 0; t < vocab_size; ++t)
    if ((words[static_cast<std::size_t>(t) / 32] >> (t % 32)) & 1u) tokens.push_back(t);
  return tokens;
}

inline bool allows(Constraint& constraint, std::int32_t vocab_size, std::int32_t token) {
  const auto tokens = allowed(constraint, vocab_size);
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

/// The text comes, token by token, each of them allowed.
inline void accept(Constraint& constraint, const text::Tokenizer& tokenizer,
                   std::string_view text) {
  for (const auto token : tokenizer.encode(text)) {
    if (constraint.restricts() && token != constraint.escape()) {
      EXPECT_TRUE(allows(constraint, tokenizer.vocab_size(), token)) << text << ": " << token;
    }
    constraint.accept(token);
  }
}

}  // namespace pippin::engine::testing
