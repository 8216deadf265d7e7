#include "engine/answer/cache_break.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <span>

namespace pippin::engine {
namespace {

constexpr std::size_t max_tokens = 16;

// In quotes and on one line.
std::string quoted(const std::vector<std::int32_t>& tokens, const text::Tokenizer& tokenizer) {
  const auto shown = std::span(tokens).first(std::min(tokens.size(), max_tokens));
  std::string out = "\"";
  for (const char c : tokenizer.decode(shown, false)) {
    if (c == '\n')
      out += "\\n";
    else
      out += static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? ' ' : c;
  }
  return out + "\"";
}

}  // namespace

std::optional<std::string> describe_break(const CacheDivergence& divergence,
                                          std::int64_t history_tokens,
                                          const text::Tokenizer& tokenizer) {
  if (divergence.position >= history_tokens) return {};
  return fmt::format(
      "a conversation's earlier turns ({} tokens) were found up to token {} only: there the cache "
      "has {}, this prompt {}",
      history_tokens, divergence.position, quoted(divergence.cached, tokenizer),
      quoted(divergence.wanted, tokenizer));
}

}  // namespace pippin::engine
