#include "engine/answer/token_ledger.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace pippin::engine {
namespace {

AnswerToken token(std::int32_t id) {
  AnswerToken token;
  token.token = id;
  return token;
}

std::vector<std::int32_t> taken(TokenLedger& ledger) {
  std::vector<std::int32_t> ids;
  for (const auto& token : ledger.take()) ids.push_back(token.token);
  return ids;
}

using Ids = std::vector<std::int32_t>;

TEST(TokenLedger, ReleasesWhatItsTextHasReached) {
  TokenLedger ledger;
  ledger.push(token(1), 0);
  ledger.push(token(2), 3);
  EXPECT_EQ(taken(ledger), Ids{});
  ledger.release(3);
  EXPECT_EQ(taken(ledger), Ids{1});
  ledger.release(4);
  EXPECT_EQ(taken(ledger), Ids{2});
  EXPECT_EQ(taken(ledger), Ids{});
}

TEST(TokenLedger, KeepsThePartsOfACharacterTogether) {
  TokenLedger ledger;
  ledger.push(token(1), 0);  // half of a character: no text yet
  ledger.release(0);
  ledger.push(token(2), 0);  // the other half
  ledger.release(2);
  EXPECT_EQ(taken(ledger), (Ids{1, 2}));
}

TEST(TokenLedger, ForgetsWhatIsNeverTold) {
  TokenLedger ledger;
  ledger.push(token(1), 0);
  ledger.push(token(2), 5);  // begins with a stop string
  ledger.release(5);
  EXPECT_EQ(taken(ledger), Ids{1});
  ledger.release_all();  // unless it turned out to be none
  EXPECT_EQ(taken(ledger), Ids{2});
}

}  // namespace
}  // namespace pippin::engine
