#include "base/member_log.h"

#include <gtest/gtest.h>

namespace pippin {
namespace {

using Paths = std::vector<std::string>;

json::object document(std::string_view text) { return parse_json(text, "test").as_object(); }

TEST(MemberLog, NamesWhatNobodyLookedAtAtEveryDepth) {
  const json::object object = document(
      R"({"a": {"b": 1, "c": 2, "none": null, "list": [{"d": 1, "e": 2}, 7, {"d": 1}]}, "top": 3})");
  const MemberLog log;
  const Members a(*Members(object).object("a"), "a");
  a.integer("b");
  a.integer("absent");
  for (const json::value& item : *a.array("list"))
    if (item.is_object()) Members(item.as_object()).integer("d");
  EXPECT_EQ(log.unread_below(object), (Paths{"a.c", "a.list.0.e"}));
}

TEST(MemberLog, WhatIsTakenWholeHasNothingUnread) {
  const json::object object = document(R"({"schema": {"x": {"y": 1}}, "other": {"z": 1}})");
  const MemberLog log;
  EXPECT_TRUE(Members(object).object("schema"));
  EXPECT_EQ(log.unread_below(object), Paths{});
  EXPECT_EQ(log.unread(json::value(document(R"({"z": 1})")), "other"), Paths{});
}

TEST(MemberLog, TheInnermostOneNotes) {
  const json::object object = document(R"({"a": {"b": 1}})");
  const MemberLog outer;
  const Members a(*Members(object).object("a"));
  {
    const MemberLog inner;
    a.integer("b");
  }
  a.integer("absent");
  EXPECT_EQ(outer.unread_below(object), Paths{"a.b"});
}

}  // namespace
}  // namespace pippin
