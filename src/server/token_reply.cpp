#include "server/token_reply.h"

#include <algorithm>
#include <string>

#include "server/utf8.h"

namespace pippin::server {
namespace {

std::string name_of(const TokenLogprob& token, TokenName name) {
  return name == TokenName::id ? "token_id:" + std::to_string(token.token)
                               : valid_utf8(token.bytes);
}

json::object described(const TokenLogprob& token, TokenName name) {
  json::array bytes;
  for (const char byte : token.bytes) bytes.push_back(static_cast<unsigned char>(byte));
  return {{"token", name_of(token, name)}, {"logprob", token.logprob}, {"bytes", std::move(bytes)}};
}

// A character is counted with its first byte.
std::size_t num_characters(const std::string& bytes) {
  return static_cast<std::size_t>(
      std::count_if(bytes.begin(), bytes.end(), [](char byte) { return (byte & 0xC0) != 0x80; }));
}

}  // namespace

json::object chat_logprobs(const std::vector<AnswerToken>& tokens, TokenName name) {
  json::array content;
  for (const AnswerToken& token : tokens) {
    json::object entry = described(token, name);
    json::array top;
    for (const TokenLogprob& other : token.top) top.push_back(described(other, name));
    entry["top_logprobs"] = std::move(top);
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

json::object completion_logprobs(const std::vector<AnswerToken>& tokens, TokenName name,
                                 std::size_t& offset) {
  json::array names, logprobs, tops, offsets;
  for (const AnswerToken& token : tokens) {
    names.emplace_back(name_of(token, name));
    logprobs.emplace_back(token.logprob);
    // Tokens of one spelling are told once, with the likelier one's. The chosen one is told beside the likeliest.
    json::object top;
    for (const TokenLogprob& other : token.top) top.emplace(name_of(other, name), other.logprob);
    top.emplace(name_of(token, name), token.logprob);
    tops.emplace_back(std::move(top));
    offsets.emplace_back(offset);
    offset += num_characters(token.bytes);
  }
  return {{"tokens", std::move(names)},
          {"token_logprobs", std::move(logprobs)},
          {"top_logprobs", std::move(tops)},
          {"text_offset", std::move(offsets)}};
}

json::array token_ids(const std::vector<AnswerToken>& tokens) {
  json::array ids;
  for (const AnswerToken& token : tokens) ids.emplace_back(token.token);
  return ids;
}

json::array token_ids(const std::vector<std::int32_t>& tokens) {
  return json::array(tokens.begin(), tokens.end());
}

}  // namespace pippin::server
