#include "server/chat/canonical.h"

#include <gtest/gtest.h>

#include <string>

namespace pippin::server {
namespace {

const std::string header =
    "x-anthropic-billing-header: cc_version=2.1.177.01c; cc_entrypoint=sdk-cli; cch=36ee5;";

Message message(const std::string& role, const std::vector<std::string>& parts) {
  Message out{role, {}, ""};
  for (const auto& text : parts) out.content.push_back({text, nullptr});
  return out;
}

// What is left of one system message before a question.
std::vector<std::string> left_of(const std::vector<std::string>& parts) {
  std::vector<Message> messages = {message("system", parts), message("user", {"hi"})};
  remove_volatile_lines(messages);
  std::vector<std::string> left;
  for (const auto& part : messages.front().content) left.push_back(part.text);
  return messages.size() == 1 ? std::vector<std::string>{} : left;
}

TEST(VolatileLines, GoFromTheHeadWithTheirLineBreaks) {
  using Texts = std::vector<std::string>;
  EXPECT_EQ(left_of({header + "\nYou are"}), Texts{"You are"});
  EXPECT_EQ(left_of({header + "\n\nYou are\n\n"}), Texts{"You are\n\n"});
  EXPECT_EQ(left_of({header, "You are", "more"}), (Texts{"You are", "more"}));
  EXPECT_EQ(left_of({header + "\n", header, "You are"}), Texts{"You are"});
}

TEST(VolatileLines, AreKnownInEveryFormThatClaudeCodeSends) {
  for (const char* line : {
           "x-anthropic-billing-header: cc_version=2.1.15;",
           "x-anthropic-billing-header: cc_version=2.1.199.4f3; cc_entrypoint=cli;",
           "x-anthropic-billing-header: cc_version=2.1.37.0d9; cc_entrypoint=cli; cch=fa690;",
           "x-anthropic-billing-header: cc_version=2.1.257.23f; cc_entrypoint=cli; cch=19824; "
           "cc_prev_req=req_011CS; cc_prompt_id=0b7e1f7a-12aa-4b1c-9a53-0f8f3d6b2c11;",
       })
    EXPECT_EQ(left_of({std::string(line) + "\nx"}), std::vector<std::string>{"x"}) << line;
}

TEST(VolatileLines, OfOtherRequestsLeaveTheSamePrompt) {
  const std::string other =
      "x-anthropic-billing-header: cc_version=2.1.177.9aa; cc_entrypoint=sdk-cli; cch=0aaa9;";
  EXPECT_EQ(left_of({header + "\nYou are"}), left_of({other + "\nYou are"}));
}

TEST(VolatileLines, AMessageOfNothingElseGoes) {
  std::vector<Message> messages = {message("system", {header}), message("system", {"You are"}),
                                   message("user", {"hi"})};
  EXPECT_EQ(remove_volatile_lines(messages), 1);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].content[0].text, "You are");
  std::vector<Message> alone = {message("system", {header})};
  EXPECT_EQ(remove_volatile_lines(alone), 1);
  EXPECT_EQ(alone.size(), 1u);
}

TEST(VolatileLines, NearMissesStayByteForByte) {
  const std::vector<std::string> texts = {
      "",
      "You are\n" + header,                                 // not at the head
      " " + header + "\nYou are",                           // not at the very head
      "\n" + header,                                        //
      "X-Anthropic-Billing-Header: cc_version=1;\nx",       // another spelling
      "x-anthropic-billing-header cc_version=1;\nx",        // no colon
      "x-anthropic-billing-header:\nx",                     // no fields
      "x-anthropic-billing-header: \nx",                    //
      "x-anthropic-billing-header: cch=36ee5;\nx",          // not the first field
      "x-anthropic-billing-header: cc_version=;\nx",        // no value
      "x-anthropic-billing-header: cc_version=1\nx",        // no end of the field
      "x-anthropic-billing-header: cc_version=1; \nx",      // a space too many
      "x-anthropic-billing-header: cc_version=1;  cch=2;",  //
      "x-anthropic-billing-header: cc_version=1;\r\nx",     // another line break
      "x-anthropic-billing-header: cc_version=1; You are",  // words on the line
      "x-anthropic-billing-header: cc_version=1; x=1;\nx",  // a field that is none of these
      "x-anthropic-billing-header: cc_version=1 2;\nx",     // a value of two words
      "x-anthropic-billing-header: cc_version",             // cut off
  };
  for (const auto& text : texts) EXPECT_EQ(left_of({text}), std::vector<std::string>{text}) << text;
}

TEST(VolatileLines, StayInOtherMessages) {
  for (const char* role : {"user", "assistant", "tool"}) {
    std::vector<Message> messages = {message("system", {"You are"}), message(role, {header})};
    EXPECT_EQ(remove_volatile_lines(messages), 0) << role;
    EXPECT_EQ(messages[1].content[0].text, header);
  }
  std::vector<Message> later = {message("user", {"hi"}), message("system", {header})};
  EXPECT_EQ(remove_volatile_lines(later), 0);
}

}  // namespace
}  // namespace pippin::server
