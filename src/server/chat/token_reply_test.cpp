#include "server/chat/token_reply.h"

#include <gtest/gtest.h>

namespace pippin::server {
namespace {

AnswerToken token(std::int32_t id, std::string bytes, float logprob,
                  std::vector<TokenLogprob> top = {}) {
  AnswerToken token;
  token.token = id;
  token.bytes = std::move(bytes);
  token.logprob = logprob;
  token.top = std::move(top);
  return token;
}

// "ö" in two tokens, as byte-level vocabularies split it.
const std::vector<AnswerToken> tokens = {token(7, "\xC3", -0.5f, {{7, -0.5f, "\xC3"}}),
                                         token(8, "\xB6x", -1, {{9, -0.25f, "y"}})};

TEST(TokenReply, NamesAChatsTokensWithTheirBytes) {
  EXPECT_EQ(json::value(chat_logprobs(tokens, TokenName::text)), parse_json(R"({"content": [
      {"token": "\ufffd", "logprob": -0.5, "bytes": [195], "top_logprobs": [{"token": "\ufffd", "logprob": -0.5, "bytes": [195]}]},
      {"token": "\ufffdx", "logprob": -1E0, "bytes": [182, 120], "top_logprobs": [{"token": "y", "logprob": -0.25, "bytes": [121]}]}],
      "refusal": null})",
                                                                            "expected"));
}

TEST(TokenReply, NamesTokensByIdWhereAskedTo) {
  const auto logprobs = chat_logprobs(tokens, TokenName::id);
  EXPECT_EQ(logprobs.at("content").at(1).at("token"), "token_id:8");
  EXPECT_EQ(token_ids(tokens), (json::array{7, 8}));
}

TEST(TokenReply, CountsACompletionsCharacters) {
  std::size_t offset = 3;
  CompletionLogprobs told(TokenName::text);
  told.add(tokens, offset);
  EXPECT_EQ(json::value(told.take()),
            parse_json(R"({"tokens": ["\ufffd", "\ufffdx"], "token_logprobs": [-0.5, -1E0],
      "top_logprobs": [{"\ufffd": -0.5}, {"y": -0.25, "\ufffdx": -1E0}], "text_offset": [3, 4]})",
                       "expected"));
  EXPECT_EQ(offset, 5u);
}

TEST(TokenReply, TellsAPromptWhoseFirstTokenHasNoProbability) {
  std::size_t offset = 1;
  CompletionLogprobs told(TokenName::text);
  told.add_prompt({token(1, "<s>", 0), token(4, "a", -2, {{4, -2, "a"}})}, 1);
  told.add({token(5, "b", -3)}, offset);
  EXPECT_EQ(json::value(told.take()), parse_json(R"({"tokens": ["<s>", "a", "b"],
      "token_logprobs": [null, -2E0, -3E0], "top_logprobs": [null, {"a": -2E0}, {"b": -3E0}], "text_offset": [0, 1, 1]})",
                                                 "expected"));
}

TEST(TokenReply, TellsAPromptAsVllmDoes) {
  AnswerToken unlikely = token(7, "x", -4, {{9, -0.25f, "y"}});
  unlikely.rank = 12;
  EXPECT_EQ(json::value(prompt_logprobs({token(1, "<s>", 0), unlikely})), parse_json(R"([null,
      {"7": {"logprob": -4E0, "rank": 12, "decoded_token": "x"}, "9": {"logprob": -0.25, "rank": 1, "decoded_token": "y"}}])",
                                                                                     "expected"));
}

}  // namespace
}  // namespace pippin::server
