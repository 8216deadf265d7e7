// What answers tell of their tokens, as OpenAI's two APIs have it; Ollama's has the same of its chats.
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

/// A completion's choices[].logprobs: {"tokens", "token_logprobs", "top_logprobs", "text_offset"}.
class CompletionLogprobs {
 public:
  explicit CompletionLogprobs(TokenName name) : name_(name) {}

  /// The first token begins at character `offset` of the choice's text, which is moved to where the last one ends.
  void add(const std::vector<AnswerToken>& tokens, std::size_t& offset);
  /// The tokens of a prompt that was echoed as `length` characters, of which the first has no probability.
  void add_prompt(const std::vector<AnswerToken>& tokens, std::size_t length);
  json::object take();

 private:
  void add(const AnswerToken& token, bool known, std::size_t offset);

  const TokenName name_;
  json::array names_, logprobs_, tops_, offsets_;
};

/// vLLM's prompt_logprobs: [null, {"id": {"logprob", "rank", "decoded_token"}, ...}, ...], of each token but the first.
json::array prompt_logprobs(const std::vector<AnswerToken>& tokens);

json::array token_ids(const std::vector<AnswerToken>& tokens);
json::array token_ids(const std::vector<std::int32_t>& tokens);

}  // namespace pippin::server
