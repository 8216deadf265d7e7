// What answers tell of their tokens, as OpenAI's two APIs have it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/json.h"
#include "pippin/request.h"

namespace pippin::server {

/// How a token is named beside a log-probability: by its text, or as "token_id:7".
enum class TokenName { text, id };

/// A chat's choices[].logprobs: {"content": [{"token", "logprob", "bytes", "top_logprobs"}], "refusal": null}.
json::object chat_logprobs(const std::vector<AnswerToken>& tokens, TokenName name);

/// A completion's choices[].logprobs: {"tokens", "token_logprobs", "top_logprobs", "text_offset"}. The first token begins at
/// character `offset` of the choice's text, which is moved to where the last one ends.
json::object completion_logprobs(const std::vector<AnswerToken>& tokens, TokenName name,
                                 std::size_t& offset);

json::array token_ids(const std::vector<AnswerToken>& tokens);
json::array token_ids(const std::vector<std::int32_t>& tokens);

}  // namespace pippin::server
