#include "text/parsers/literals.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "text/parsers/tools.h"

namespace pippin::text {
namespace {

TEST(Literals, PythonBecomesJson) {
  for (const auto& [python, json] : std::vector<std::pair<std::string, std::string>>{
           {"1", "1"},
           {"-2.5e3", "-2.5e3"},
           {"True", "true"},
           {"False", "false"},
           {"None", "null"},
           {"null", "null"},
           {"'it\\'s'", "\"it's\""},
           {R"("a\tb\\")", R"("a\tb\\")"},
           {R"('\x41\u00e9')", R"("\u0041\u00e9")"},
           {R"('\ud83d')", R"("\\ud83d")"},
           {"''", "\"\""},
           {"\"\"\"a\nb\"\"\"", "\"a\\nb\""},
           {"[1, 'a', (2,), ]", "[1, \"a\", [2]]"},
           {"{'k': {}, \"l\": []}", "{\"k\": {}, \"l\": []}"},
           {"1_000", "\"1_000\""},
           {"word", "\"word\""}}) {
    EXPECT_EQ(literal_to_json(python), json) << python;
    EXPECT_NO_THROW(parse_json(json, "expected"));
  }
  for (const char* broken :
       {"", "[", "[1", "{1: 2}", "'open", "f(x)", "[1] 2", "{'a'}", "[,]", ")"})
    EXPECT_FALSE(literal_to_json(broken)) << broken;
  EXPECT_FALSE(literal_to_json(std::string(1000, '[')));
}

ValueTypes types(const std::string& schema) {
  const Tools tools(
      R"([{"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": )" +
      schema + R"(}, "$defs": {"n": {"type": "number"}, "loop": {"$ref": "#/$defs/loop"}}}}}])");
  return tools.types_of("f", "a");
}

TEST(Tools, TypesFollowTheSchema) {
  EXPECT_EQ(types(R"({"type": "string"})"), (ValueTypes{.string = true}));
  EXPECT_EQ(types(R"({"type": ["integer", "null"]})"), (ValueTypes{.number = true, .null = true}));
  EXPECT_EQ(types(R"({"enum": ["a", 1, true]})"),
            (ValueTypes{.string = true, .number = true, .boolean = true}));
  EXPECT_EQ(types(R"({"const": []})"), (ValueTypes{.array = true}));
  EXPECT_EQ(types(R"({"anyOf": [{"type": "object"}, {"$ref": "#/$defs/n"}]})"),
            (ValueTypes{.number = true, .object = true}));
  EXPECT_EQ(types(R"({"type": "string", "nullable": true})"),
            (ValueTypes{.string = true, .null = true}));
  for (const char* unknown :
       {"{}", "true", R"({"$ref": "#/$defs/loop"})", R"({"$ref": "http://x"})"})
    EXPECT_TRUE(types(unknown).unknown()) << unknown;
  EXPECT_TRUE(Tools("nonsense").empty());
  EXPECT_TRUE(Tools(R"([1, {"type": "function"}, {"function": {"name": 3}}])").empty());
}

TEST(Tools, BareTextBecomesAValueOfAnAllowedType) {
  const ValueTypes any, text{.string = true}, number{.number = true},
      either{.string = true, .number = true}, truth{.boolean = true}, list{.array = true},
      maybe_text{.string = true, .null = true};
  EXPECT_EQ(json_of("5", any), "5");
  EXPECT_EQ(json_of("5", text), "\"5\"");
  EXPECT_EQ(json_of(" 5 ", number), "5");
  EXPECT_EQ(json_of("five", number), "\"five\"");
  EXPECT_EQ(json_of("5", either), "5");
  EXPECT_EQ(json_of("\"5\"", either), R"("\"5\"")");
  EXPECT_EQ(json_of("True", truth), "true");
  EXPECT_EQ(json_of("['a']", list), "[\"a\"]");
  EXPECT_EQ(json_of("null", maybe_text), "null");
  EXPECT_EQ(json_of("nil", maybe_text), "\"nil\"");
}

}  // namespace
}  // namespace pippin::text
