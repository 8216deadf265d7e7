#include "main/help.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "main/command_line.h"
#include "main/man_page.h"
#include "pippin/error.h"

namespace pippin {
namespace {

std::size_t longest_line(const std::string& text) {
  std::size_t longest = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
  return longest;
}

void expect_fits(const std::string& page, const std::string& what) {
  EXPECT_LE(std::count(page.begin(), page.end(), '\n'), screen_lines) << what << "\n" << page;
  EXPECT_LE(longest_line(page), screen_columns) << what << "\n" << page;
}

TEST(Help, EveryPageFitsAScreen) {
  const CommandDoc program = describe_program();
  std::vector<const CommandDoc*> all = {&program};
  for (const CommandDoc& command : program.commands) all.push_back(&command);
  for (const CommandDoc* doc : all) {
    expect_fits(help_page(*doc, ""), doc->name);
    for (const GroupDoc& group : doc->groups)
      if (!group.title.empty()) expect_fits(help_page(*doc, group.key()), doc->name + group.title);
    for (const SectionDoc& section : doc->sections)
      expect_fits(help_page(*doc, section.key()), doc->name + section.title);
  }
}

TEST(Help, PagesTogetherHoldEveryOption) {
  const CommandDoc program = describe_program();
  const CommandDoc& serve = *program.find("serve");
  const std::string all = help_page(serve, "all");
  std::size_t count = 0;
  for (const GroupDoc& group : serve.groups)
    for (const OptionDoc& option : group.options) {
      const std::string page = help_page(serve, group.title.empty() ? "" : group.key());
      EXPECT_NE(page.find(option.names.back()), std::string::npos) << option.names.back();
      EXPECT_NE(all.find(option.names.back()), std::string::npos) << option.names.back();
      ++count;
    }
  EXPECT_GT(count, 60u);
  EXPECT_EQ(all.find("--fail-every"), std::string::npos) << "for tests alone";
  EXPECT_NE(help_page(serve, "logging").find("--log-level"), std::string::npos);
}

TEST(Help, TopicsAreNamedAndUnknownOnesRefused) {
  const CommandDoc program = describe_program();
  const std::string overview = help_page(*program.find("serve"), "");
  EXPECT_NE(overview.find("--help TOPIC"), std::string::npos);
  EXPECT_NE(overview.find("network"), std::string::npos);
  EXPECT_NE(help_page(program, "chat").find("pippin chat"), std::string::npos);
  EXPECT_NE(help_page(*program.find("pull"), "names").find("mlx-community/"), std::string::npos);
  try {
    help_page(program, "nothing");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("examples"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("serve"), std::string::npos);
  }
}

TEST(Help, LongNamesHaveALineOfTheirOwn) {
  CommandDoc doc;
  doc.name = "p";
  doc.summary = "s";
  doc.groups.resize(1);
  doc.groups[0].options = {{{"--a"}, "N", "one two", {}, false, false},
                           {{"--" + std::string(40, 'b')}, "", "three", {}, false, false}};
  EXPECT_EQ(help_page(doc, ""), "s\nUsage: p [OPTIONS]\n\nOptions:\n  --a N  one two\n  --" +
                                    std::string(40, 'b') + "\n         three\n");
}

TEST(Help, LinesBreakBetweenWords) {
  EXPECT_EQ(wrapped("one two three", 8), (std::vector<std::string>{"one two", "three"}));
  EXPECT_EQ(wrapped("  a b\nc", 3), (std::vector<std::string>{"  a", "  b", "c"}));
  EXPECT_EQ(wrapped("toolongaword x", 4), (std::vector<std::string>{"toolongaword", "x"}));
  EXPECT_TRUE(wrapped("", 4).empty());
}

TEST(ManPage, HoldsEveryCommandAndOption) {
  const CommandDoc program = describe_program();
  const std::string page = man_page(program, "1.2-3");
  EXPECT_TRUE(page.starts_with(".TH PIPPIN 1 \"\" \"pippin 1.2\\-3\""));
  for (const CommandDoc& command : program.commands) {
    EXPECT_NE(page.find(".SS " + command.name.substr(0, 7)), std::string::npos);
    for (const GroupDoc& group : command.groups)
      for (const OptionDoc& option : group.options) {
        std::string name = option.names.back().substr(2);
        for (std::size_t at = 0; (at = name.find('-', at)) != std::string::npos; at += 2)
          name.replace(at, 1, "\\-");
        EXPECT_NE(page.find("\\-\\-" + name), std::string::npos) << option.names.back();
      }
  }
  EXPECT_NE(page.find(".SH ENVIRONMENT VARIABLES"), std::string::npos);
}

TEST(ManPage, TextIsNoCommandOfRoff) {
  CommandDoc program;
  program.name = "p";
  program.summary = ".so /etc/passwd";
  program.groups.resize(1);
  program.groups[0].options = {{{"--a"}, "", "'x\n.y \\z", {}, false, false}};
  const std::string page = man_page(program, "1");
  EXPECT_NE(page.find("\n\\&'x\n\\&.y \\ez\n"), std::string::npos);
  EXPECT_EQ(page.find("\n.so"), std::string::npos);
}

}  // namespace
}  // namespace pippin
