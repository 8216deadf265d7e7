#include "server/chat/truncation.h"

#include <gtest/gtest.h>

#include <string>

namespace pippin::server {
namespace {

// "sua" is a system's, a user's and an assistant's message; each is numbered by its text.
std::vector<Message> conversation(const std::string& roles) {
  std::vector<Message> messages;
  for (const char role : roles) {
    const char* name = role == 's'   ? "system"
                       : role == 'u' ? "user"
                       : role == 'a' ? "assistant"
                                     : "tool";
    messages.push_back({name, {{std::to_string(messages.size()), nullptr}}, ""});
  }
  return messages;
}

// Each message has a token.
std::string kept(const std::string& roles, std::int64_t most) {
  auto messages = conversation(roles);
  drop_oldest(messages, most,
              [](const auto& all) { return static_cast<std::int64_t>(all.size()); });
  std::string numbers;
  for (const auto& message : messages) numbers += message.content.front().text;
  return numbers;
}

TEST(Truncation, WholeTurnsGoFirst) {
  EXPECT_EQ(kept("suauau", 6), "012345");
  EXPECT_EQ(kept("suauau", 5), "0345");
  EXPECT_EQ(kept("suauau", 3), "05");
  EXPECT_EQ(kept("uatau", 4), "4");  // calls and their outputs belong to the turn
  EXPECT_EQ(kept("ssuuau", 5), "01345");
}

TEST(Truncation, ThenWhatWasDoneInTheLastTurn) {
  EXPECT_EQ(kept("suauatatt", 8), "0345678");
  EXPECT_EQ(kept("suauatatt", 5), "03678");
  EXPECT_EQ(kept("uatatat", 6), "03456");
}

TEST(Truncation, TheLastQuestionStays) {
  EXPECT_EQ(kept("suauau", 1), "05");
  EXPECT_EQ(kept("suauatat", 1), "0367");
  EXPECT_EQ(kept("su", 1), "01");
  EXPECT_EQ(kept("ss", 1), "01");
  EXPECT_EQ(kept("a", 0), "0");
}

// The fewest that suffice, found without trying each.
TEST(Truncation, DropsNoMoreThanItMust) {
  std::string roles = "s";
  for (int i = 0; i < 40; ++i) roles += "ua";
  roles += "u";
  for (std::int64_t most = 2; most < 82; ++most) {
    auto messages = conversation(roles);
    int calls = 0;
    drop_oldest(messages, most, [&](const auto& all) {
      ++calls;
      return static_cast<std::int64_t>(all.size());
    });
    EXPECT_EQ(static_cast<std::int64_t>(messages.size()), most - most % 2) << most;
    EXPECT_LE(calls, 8);
  }
}

}  // namespace
}  // namespace pippin::server
