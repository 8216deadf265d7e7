#include "main/conversation.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "pippin/error.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;

Attachment fake(bool is_video, const std::string& source) {
  if (source == "gone.png") throw Error(Code::not_found, "there is no gone.png");
  return {is_video, source, {"<" + source + ">", nullptr}};
}

class ConversationTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::remove(file_); }
  void TearDown() override { fs::remove(file_); }
  void write(const std::string& text) { std::ofstream(file_) << text; }

  const fs::path file_ = fs::path(::testing::TempDir()) / "pippin_chat.json";
};

TEST_F(ConversationTest, IsWhatTheEngineIsAsked) {
  Conversation chat;
  chat.system = "Be brief.";
  chat.attach(fake(false, "a.png"));
  chat.ask("What is it?");
  chat.answer("A cat.", "Whiskers.");
  chat.ask("Sure?");
  const auto messages = chat.messages();
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_EQ(messages[0].role, "system");
  ASSERT_EQ(messages[1].content.size(), 2u);
  EXPECT_EQ(messages[1].content[0].text, "<a.png>");
  EXPECT_EQ(messages[1].content[1].text, "What is it?");
  EXPECT_EQ(messages[2].extra_json, R"({"reasoning_content":"Whiskers."})");
  EXPECT_EQ(messages[3].content.size(), 1u);
  chat.take_back();
  EXPECT_EQ(chat.turns().size(), 2u);
  chat.clear();
  EXPECT_EQ(chat.messages().size(), 1u);
}

TEST_F(ConversationTest, IsTheSameAfterItsFile) {
  Conversation chat;
  chat.system = "Be \"brief\".";
  chat.attach(fake(false, "a.png"));
  chat.attach(fake(true, "b.mp4"));
  chat.ask("What\nis it?");
  chat.answer("\u00e9", "Hm.");
  chat.save(file_);
  Conversation again;
  again.ask("gone");
  again.load(file_, fake);
  EXPECT_EQ(again.system, chat.system);
  ASSERT_EQ(again.turns().size(), 2u);
  EXPECT_EQ(again.turns()[0].text, "What\nis it?");
  ASSERT_EQ(again.turns()[0].attachments.size(), 2u);
  EXPECT_FALSE(again.turns()[0].attachments[0].is_video);
  EXPECT_EQ(again.turns()[0].attachments[1].source, "b.mp4");
  EXPECT_TRUE(again.turns()[0].attachments[1].is_video);
  EXPECT_EQ(again.turns()[1].reasoning, "Hm.");
}

TEST_F(ConversationTest, AFileThatIsNoneChangesNothing) {
  Conversation chat;
  chat.ask("still here");
  for (const char* text :
       {"", "{", "[]", "{}", R"({"messages": [1]})", R"({"messages": [{"role": "tool"}]})",
        R"({"messages": [{"role": "user", "content": [1]}]})",
        R"({"messages": [{"role": "user", "content": 1}]})",
        R"({"messages": [{"role": "user", "content": [{"type": "image_url",
            "image_url": {"url": "gone.png"}}]}]})"}) {
    write(text);
    EXPECT_THROW(chat.load(file_, fake), Error) << text;
    ASSERT_EQ(chat.turns().size(), 1u);
  }
  fs::remove(file_);
  EXPECT_THROW(chat.load(file_, fake), Error);
}

}  // namespace
}  // namespace pippin
