// Headers of gpt-oss's messages, and what of one a prompt leaves open.
#include "text/parsers/channels.h"

#include <gtest/gtest.h>

#include "text/parsers/registry.h"
#include "text/parsers/testing.h"

namespace pippin::text {
namespace {

TEST(Channels, HeadersNameAChannelAndARecipientInEitherOrder) {
  const auto expect = [](std::string_view header, std::string_view channel,
                         std::string_view recipient) {
    const auto read = channels::read_header(header);
    EXPECT_EQ(read.channel, channel) << header;
    EXPECT_EQ(read.recipient, recipient) << header;
  };
  expect("assistant<|channel|>analysis", "analysis", "");
  expect("assistant<|channel|>commentary to=functions.f <|constrain|>json", "commentary",
         "functions.f");
  expect("assistant<|channel|>commentary to=functions.f<|constrain|>json", "commentary",
         "functions.f");
  expect("assistant to=functions.f<|channel|>commentary json", "commentary", "functions.f");
  expect("assistant", "", "");
  expect("", "", "");
}

TEST(Channels, APromptMayLeaveAMessageOpen) {
  const auto expect = [](std::string_view prompt, std::string_view header, bool in_body) {
    const auto open = channels::open_message(prompt);
    EXPECT_EQ(open.header, header) << prompt;
    EXPECT_EQ(open.in_body, in_body) << prompt;
  };
  const std::string before = "<|start|>user<|message|>Hi<|end|>";
  expect(before + "<|start|>assistant", "assistant", false);
  expect(before + "<|start|>assistant<|channel|>analysis<|message|>",
         "assistant<|channel|>analysis", true);
  expect(before + "<|start|>assistant<|channel|>final<|message|>So", "assistant<|channel|>final",
         true);
  expect("Hi", "", false);
}

FoldedAnswer answered(std::string_view prompt, const std::string& output) {
  const auto format = OutputFormat::choose("harmony", "harmony", "", "");
  const auto parser = format.parser(prompt, "");
  return parse_in_pieces(*parser, cut_at_markers(output, parser->markers()));
}

TEST(Channels, WhatThePromptOpensIsGoneOnWith) {
  const std::string rest = "Hm.<|end|><|start|>assistant<|channel|>final<|message|>Four.";
  const auto expect = [](const FoldedAnswer& answer) {
    EXPECT_EQ(answer.reasoning, "Hm.");
    EXPECT_EQ(answer.content, "Four.");
  };
  expect(answered("<|start|>assistant<|channel|>analysis<|message|>", rest));
  expect(answered("<|start|>assistant<|channel|>", "analysis<|message|>" + rest));
  expect(answered("<|start|>assistant", "<|channel|>analysis<|message|>" + rest));
  EXPECT_EQ(answered("<|start|>assistant<|channel|>final<|message|>", "Four.").content, "Four.");
}

TEST(Channels, TextBehindAThoughtIsNoThought) {
  const std::string thought = "<|channel|>analysis<|message|>Hm.<|end|>";
  for (const char* mark : {"", "<|message|>"}) {
    const auto answer = answered("<|start|>assistant", thought + mark + "Four.");
    EXPECT_EQ(answer.reasoning, "Hm.") << mark;
    EXPECT_EQ(answer.content, "Four.") << mark;
  }
}

TEST(Channels, MarksThatEndAnAnswerAreTheFormats) {
  EXPECT_EQ(OutputFormat::choose("harmony", "none", "", "").end_marks(),
            (std::vector<std::string_view>{"<|call|>", "<|return|>"}));
  EXPECT_TRUE(OutputFormat::choose("hermes", "think", "", "").end_marks().empty());
}

}  // namespace
}  // namespace pippin::text
