#include "main/answer_printer.h"

#include <gtest/gtest.h>

#include <sstream>

namespace pippin {
namespace {

ChatEvent text(const std::string& text) {
  ChatEvent event;
  event.text = text;
  return event;
}
ChatEvent thought(const std::string& text) {
  ChatEvent event;
  event.reasoning = text;
  return event;
}

struct Printed {
  std::string answer, remarks;
};

Printed print(bool terminal, const std::vector<ChatEvent>& events) {
  std::ostringstream answer, remarks;
  AnswerPrinter printer({answer, terminal}, {remarks, terminal});
  for (const ChatEvent& event : events) printer.print(event);
  printer.finish();
  return {answer.str(), remarks.str()};
}

TEST(AnswerPrinter, KeepsThoughtsApart) {
  const Printed file = print(false, {thought("Let me "), thought("see."), text("Yes"), text(".")});
  EXPECT_EQ(file.answer, "Yes.\n");
  EXPECT_EQ(file.remarks, "Let me see.\n\n");
  const Printed terminal = print(true, {thought("Hm."), text("Yes.")});
  EXPECT_EQ(terminal.remarks, "\033[2mHm.\033[0m\n\n");
  EXPECT_EQ(print(true, {thought("Hm")}).remarks, "\033[2mHm\033[0m\n\n");
}

TEST(AnswerPrinter, NoTextMovesATerminalsCursor) {
  const std::string hostile = "a\033[2Jb\rc\u009bd\x7f\te\n\u00e9\u20ac";
  EXPECT_EQ(print(true, {text(hostile)}).answer,
            "a\uFFFD[2Jb\uFFFDc\uFFFDd\uFFFD\te\n\u00e9\u20ac\n");
  EXPECT_EQ(print(false, {text(hostile)}).answer, hostile + "\n");
}

TEST(AnswerPrinter, CountsTokens) {
  std::ostringstream out;
  AnswerPrinter printer({out}, {out});
  ChatEvent event = text("x");
  event.usage.prompt_tokens = 70;
  event.usage.cached_tokens = 59;
  event.usage.completion_tokens = 3;
  printer.print(event);
  const std::string stats = printer.stats(std::chrono::steady_clock::now());
  EXPECT_NE(stats.find("70 prompt tokens"), std::string::npos);
  EXPECT_NE(stats.find("59 of them cached; 3 tokens generated"), std::string::npos);
}

}  // namespace
}  // namespace pippin
