#include "text/messages.h"

#include <gtest/gtest.h>

#include "pippin/error.h"

namespace pippin::text {
namespace {

TEST(Messages, TextIsAStringAndPicturesMakeAList) {
  Message plain{"user", {{"a", nullptr}, {"b", nullptr}}, ""};
  Message picture{"user", {{"", std::make_shared<Pixels>()}, {"what?", nullptr}}, ""};
  EXPECT_EQ(messages_json({plain, picture}),
            R"([{"role":"user","content":"a\nb"},)"
            R"({"role":"user","content":[{"type":"image"},{"type":"text","text":"what?"}]}])");
}

TEST(Messages, VideosMakeAList) {
  ContentPart clip;
  clip.video = std::make_shared<Video>();
  EXPECT_EQ(messages_json({{"user", {{"what?", nullptr}, clip}, ""}}),
            R"([{"role":"user","content":[{"type":"text","text":"what?"},{"type":"video"}]}])");
}

TEST(Messages, FurtherMembersArePassedOn) {
  EXPECT_EQ(messages_json({{"assistant", {}, R"({"tool_calls": [1], "content": null})"}}),
            R"([{"role":"assistant","content":null,"tool_calls":[1]}])");
  EXPECT_THROW(messages_json({{"assistant", {}, "[]"}}), Error);
}

}  // namespace
}  // namespace pippin::text
