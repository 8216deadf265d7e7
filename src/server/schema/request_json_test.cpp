#include "server/schema/request_json.h"

#include <gtest/gtest.h>

#include <functional>

#include "pippin/error.h"

namespace pippin::server {
namespace {

std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(RequestBody, KeepsTheDigitsOfNumbers) {
  for (const std::string number : {"1e400", "-1e99999999999", "123456789012345678901234567890",
                                   "18446744073709551615", "0.1000000000000000055511151231257827",
                                   "1E5", "-0.0e0", "9223372036854775807", "7", "0.5", "-2.0"}) {
    const std::string text = R"({"a":{"b":[1,)" + number + R"(],"c":"\"1e400"}})";
    const RequestBody body(text);
    EXPECT_EQ(body.text_of(body.object().at("a")), text.substr(5, text.size() - 6)) << number;
    EXPECT_TRUE(body.object().at("a").at("b").at(1).is_number()) << number;
  }
}

TEST(RequestBody, ReadsNumbersBeyondADoubleAsTheNearest) {
  const RequestBody body(R"({"temperature": 1.0000000000000000000001, "n": 1e400})");
  const Members members(body.object());
  EXPECT_EQ(members.number("temperature"), 1.0);
  EXPECT_GT(*members.number("n"), 1e308);
}

TEST(RequestBody, WhatLooksLikeItsOwnMarkIsAString) {
  const RequestBody body(
      R"({"a": 1e400, "b": "number:1e400", "c": "-number:5", "d": "\u006eumber:x"})");
  EXPECT_EQ(body.object().at("b"), "number:1e400");
  EXPECT_EQ(body.object().at("c"), "-number:5");
  EXPECT_EQ(body.object().at("d"), "number:x");
}

TEST(RequestBody, RefusesWhatIsNoNumberWithItsPlace) {
  for (const std::string bad : {"01e5", "1-2e5", "1e", "--1e5", "1.e5", ".5e5", "1e5e5", "+1e5"}) {
    const std::string message =
        message_of([&] { RequestBody(R"({"big": 1e400, "a": )" + bad + "}"); });
    EXPECT_NE(message.find("not valid JSON at byte"), std::string::npos) << bad << ": " << message;
  }
  for (const std::string bad : {"", "[]", "{\"a\": 1e400", "\"1e400", "\"\\"})
    EXPECT_NE(message_of([&] { const RequestBody body(bad); }), "") << bad;
}

TEST(RequestJson, SaysWhetherAKeyIsMissingOrNull) {
  const json::object object = parse_json(R"({"none": null})", "test").as_object();
  const Members members(object);
  EXPECT_EQ(message_of([&] { required_string(members, "none"); }), "'none' must not be null");
  EXPECT_EQ(message_of([&] { required_object(members, "other"); }), "'other' is missing");
}

TEST(RequestJson, WritesLimitsAsPeopleDo) {
  const json::object object = parse_json(R"({"x": 3, "nul": 7})", "test").as_object();
  const Members members(object);
  EXPECT_EQ(message_of([&] { number_in(members, "x", 0, 2, 1); }), "'x' must be between 0 and 2");
  EXPECT_EQ(message_of([&] { number_in(members, "x", 10, 1e6, 1); }),
            "'x' must be between 10 and 1000000");
  EXPECT_EQ(message_of([&] { number_in(members, "x", 0.001, 0.01, 1); }),
            "'x' must be between 0.001 and 0.01");
}

TEST(RequestJson, MessagesAreNotCutAtNul) {
  EXPECT_EQ(message_of([] { refuse(std::string("a\0b", 3), "is wrong"); }), "'a\\u0000b' is wrong");
}

}  // namespace
}  // namespace pippin::server
