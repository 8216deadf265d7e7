#include "base/json.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "pippin/error.h"

namespace pippin {
namespace {

std::string error_field(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid_argument);
    return error.field().empty() ? error.what() : error.field();
  }
  return "no error";
}

TEST(Json, TypedMembers) {
  const auto value = parse_json(
      R"({"i": 3, "f": 2.0, "g": 2.5, "b": true, "s": "x", "n": null, "a": [1], "o": {}})", "test");
  const Members m(value.as_object(), "root");
  EXPECT_EQ(m.integer("i"), 3);
  EXPECT_EQ(m.integer("f"), 2);
  EXPECT_EQ(m.number("g"), 2.5);
  EXPECT_EQ(m.number("i"), 3.0);
  EXPECT_EQ(m.boolean("b"), true);
  EXPECT_EQ(m.string("s"), "x");
  EXPECT_EQ(m.string("n"), std::nullopt);
  EXPECT_EQ(m.integer("absent"), std::nullopt);
  EXPECT_EQ(m.array("a")->size(), 1u);
  EXPECT_TRUE(m.object("o")->empty());
}

TEST(Json, ErrorsNameTheField) {
  const auto value = parse_json(R"({"i": "3", "g": 2.5, "big": 1e300, "b": 1})", "test");
  const Members m(value.as_object(), "root");
  EXPECT_EQ(error_field([&] { m.integer("i"); }), "root.i");
  EXPECT_EQ(error_field([&] { m.integer("g"); }), "root.g");
  EXPECT_EQ(error_field([&] { m.integer("big"); }), "root.big");
  EXPECT_EQ(error_field([&] { m.boolean("b"); }), "root.b");
  EXPECT_EQ(error_field([&] { m.required_integer("none"); }), "root.none");
}

TEST(Json, BadTextIsAnErrorWithItsPlace) {
  EXPECT_NE(error_field([] { parse_json(R"({"a": })", "the body"); }).find("byte 6"),
            std::string::npos);
  EXPECT_NE(error_field([] { parse_json("", "the body"); }), "no error");
  EXPECT_NE(error_field([] { parse_json("{} x", "the body"); }), "no error");
  EXPECT_NE(error_field([] { parse_json(std::string(100000, '['), "the body"); }), "no error");
  EXPECT_NE(error_field([] { parse_json("\"\xff\xfe\"", "the body"); }), "no error");
}

// As configs of Mamba models hold them.
TEST(Json, FilesMayHoldNumbersThatPythonWrites) {
  const auto file = std::filesystem::temp_directory_path() /
                    ("pippin_json_test_" + std::to_string(::getpid()) + ".json");
  std::ofstream(file)
      << R"({"limit": [0.0, Infinity, -Infinity], "none": NaN, "say \"Infinity": "NaN\\"})";
  const auto object = read_json_object(file);
  std::filesystem::remove(file);
  const auto* limit = Members(object).array("limit");
  EXPECT_EQ(limit->at(1).as_double(), 1e308);
  EXPECT_EQ(limit->at(2).as_double(), -1e308);
  EXPECT_TRUE(object.at("none").is_null());
  EXPECT_EQ(object.at("say \"Infinity").as_string(), "NaN\\");
}

}  // namespace
}  // namespace pippin
