// Conversations whose earlier turns should have been found in the page cache, and were not: what to tell the operator.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/answer/token_stream.h"
#include "text/tokenizer.h"

namespace pippin::engine {

/// What a log line says of a prompt whose first `history_tokens` tokens are messages up to and with an assistant's; nullopt
/// where nothing broke: in a first turn (0), or where the difference lies behind the history, in what is new. Else the
/// position and the texts of both sides there, a page of tokens at most. The cache may have kept another conversation with
/// the same beginning, after this one's own pages had to go: then the texts are those of two conversations.
std::optional<std::string> describe_break(const CacheDivergence& divergence,
                                          std::int64_t history_tokens,
                                          const text::Tokenizer& tokenizer);

}  // namespace pippin::engine
