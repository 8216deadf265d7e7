#include "server/chat/token_reply.h"

#include <algorithm>
#include <string>

#include "server/schema/utf8.h"

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

void CompletionLogprobs::add(const std::vector<AnswerToken>& tokens, std::size_t& offset) {
  for (const AnswerToken& token : tokens) {
    add(token, true, offset);
    offset += num_characters(token.bytes);
  }
}

// The tokens spell what is around the text (BOS), too.
void CompletionLogprobs::add_prompt(const std::vector<AnswerToken>& tokens, std::size_t length) {
  std::size_t offset = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    add(tokens[i], i > 0, offset);
    offset = std::min(length, offset + num_characters(tokens[i].bytes));
  }
}

void CompletionLogprobs::add(const AnswerToken& token, bool known, std::size_t offset) {
  names_.emplace_back(name_of(token, name_));
  offsets_.emplace_back(offset);
  logprobs_.emplace_back(known ? json::value(token.logprob) : json::value());
  if (!known) return tops_.push_back(nullptr);
  // Tokens of one spelling are told once, with the likelier one's. The chosen one is told beside the likeliest.
  json::object top;
  for (const TokenLogprob& other : token.top) top.emplace(name_of(other, name_), other.logprob);
  top.emplace(name_of(token, name_), token.logprob);
  tops_.emplace_back(std::move(top));
}

json::object CompletionLogprobs::take() {
  return {{"tokens", std::move(names_)},
          {"token_logprobs", std::move(logprobs_)},
          {"top_logprobs", std::move(tops_)},
          {"text_offset", std::move(offsets_)}};
}

json::array prompt_logprobs(const std::vector<AnswerToken>& tokens) {
  json::array all;
  for (const AnswerToken& token : tokens) {
    if (all.empty()) {
      all.push_back(nullptr);
      continue;
    }
    json::object entry;
    const auto add = [&entry](const TokenLogprob& one, std::int64_t rank) {
      entry.emplace(
          std::to_string(one.token),
          json::object{
              {"logprob", one.logprob}, {"rank", rank}, {"decoded_token", valid_utf8(one.bytes)}});
    };
    add(token, token.rank);
    for (std::size_t i = 0; i < token.top.size(); ++i)
      add(token.top[i], static_cast<std::int64_t>(i) + 1);  // of its own it says the same, or a tie
    all.emplace_back(std::move(entry));
  }
  return all;
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
