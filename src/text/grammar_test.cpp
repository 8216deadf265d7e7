// Grammars on the demo model's tokenizer.
#include "text/grammar.h"

#include <gtest/gtest.h>

#include <string_view>
#include <thread>

#include "base/json.h"
#include "pippin/error.h"
#include "text/parsers/call_grammar.h"
#include "text/parsers/registry.h"

namespace pippin::text {
namespace {

constexpr std::int32_t end_of_turn = 2, think = 7, tool_call = 9;
using Kind = Grammar::Kind;

std::shared_ptr<const Tokenizer> tokenizer() {
  static const auto loaded =
      Tokenizer::load(std::filesystem::path(PIPPIN_SOURCE_DIR) / "assets/demo-model");
  return loaded;
}

GrammarCompiler& compiler() {
  static GrammarCompiler instance(tokenizer(), std::vector{end_of_turn});
  return instance;
}

std::vector<std::uint32_t> mask_of(Matcher& matcher, std::int64_t vocabulary = 4096) {
  std::vector<std::uint32_t> words(mask_words(vocabulary), 0xffffffffu);
  matcher.fill(words);
  return words;
}

bool has(const std::vector<std::uint32_t>& mask, std::int32_t token) {
  return (mask[static_cast<std::size_t>(token) / 32] >> (token % 32)) & 1u;
}

// Whether the text as the tokenizer cuts it is a whole answer. Each token is also looked up in the mask.
bool accepts(const Grammar& grammar, std::string_view text) {
  auto matcher = compiler().compile(grammar);
  for (const auto token : tokenizer()->encode(text)) {
    const bool allowed = !matcher.finished() && matcher.allows(token);
    EXPECT_EQ(has(mask_of(matcher), token), allowed) << text;
    if (!allowed) return false;
    matcher.accept(token);
  }
  return matcher.finished() || has(mask_of(matcher), end_of_turn);
}

const Grammar person{Kind::json_schema, R"({"type": "object", "properties": {
    "name": {"type": "string", "maxLength": 10}, "age": {"type": "integer", "minimum": 0, "maximum": 150}},
    "required": ["name", "age"], "additionalProperties": false})"};

TEST(Grammar, TokensOfTheTokenizerAreReadAsBytes) {
  EXPECT_TRUE(accepts(person, R"({"name": "Ada", "age": 36})"));
  EXPECT_TRUE(accepts(person, R"({"name":"Ädà 漢","age":0})"));
  EXPECT_FALSE(accepts(person, R"({"name": "Ada", "age": 151})"));
  EXPECT_FALSE(accepts(person, R"({"age": 36, "name": "Ada"})"));
  EXPECT_FALSE(accepts(person, R"({"name": "Ada"})"));
  EXPECT_FALSE(accepts(person, R"({"name": "Ada Lovelace", "age": 36})"));
  EXPECT_TRUE(accepts({Kind::json_object}, R"({"any": [1, {"thing": null}]})"));
  EXPECT_FALSE(accepts({Kind::json_object}, "[1]"));
  EXPECT_TRUE(accepts({Kind::regex, "[a-z]+@pippin\\.example"}, "ada@pippin.example"));
  EXPECT_TRUE(accepts({Kind::choice, R"(["yes", "no", "not yet"])"}, "not yet"));
  EXPECT_FALSE(accepts({Kind::choice, R"(["yes", "no", "not yet"])"}, "not"));
  EXPECT_TRUE(accepts({Kind::lark, "start: \"a\"+ \"b\""}, "aaab"));
}

TEST(Grammar, MasksEndWithTheVocabulary) {
  auto matcher = compiler().compile({Kind::regex, "(?s:.*)"});
  const auto mask = mask_of(matcher, 5000);
  EXPECT_TRUE(has(mask, tokenizer()->token_to_id("a").value()));
  for (std::int32_t token = tokenizer()->vocab_size(); token < 5000; ++token)
    EXPECT_FALSE(has(mask, token)) << token;
  for (const auto markup : {0, 1, think, tool_call}) EXPECT_FALSE(has(mask, markup)) << markup;
  EXPECT_TRUE(has(mask, end_of_turn));  // it matches nothing, too
}

TEST(Grammar, ForcedTokensAreTheTokenizersOwn) {
  auto matcher = compiler().compile(
      {Kind::choice, R"(["The picture shows a cat.", "The picture shows a dog."])"});
  std::vector<std::int32_t> forced;
  for (auto next = matcher.forced(); !next.empty(); next = matcher.forced())
    for (const auto token : next) {
      EXPECT_TRUE(has(mask_of(matcher), token));
      matcher.accept(token);
      forced.push_back(token);
    }
  const auto whole = tokenizer()->encode("The picture shows a cat.");
  ASSERT_GE(forced.size(), 3u);
  EXPECT_TRUE(std::equal(forced.begin(), forced.end(), whole.begin()));
}

TEST(Grammar, RefusesByName) {
  const auto refusal = [](const Grammar& grammar) -> std::string {
    try {
      compiler().compile(grammar);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::invalid_argument);
      return error.what();
    }
    return "";
  };
  EXPECT_NE(refusal({Kind::json_schema, R"({"uniqueItems": true})"}).find("uniqueItems"),
            std::string::npos);
  EXPECT_NE(refusal({Kind::json_schema, "{"}).find("schema"), std::string::npos);
  EXPECT_NE(refusal({Kind::regex, "("}), "");
  EXPECT_NE(refusal({Kind::choice, "[]"}).find("choice"), std::string::npos);
  EXPECT_NE(refusal({Kind::choice, R"(["a", ""])"}).find("choice"), std::string::npos);
  EXPECT_NE(refusal({Kind::regex, std::string(600 << 10, 'a')}).find("bytes"), std::string::npos);
}

TEST(Grammar, TakingWhatMayNotComeThrows) {
  auto matcher = compiler().compile({Kind::regex, "ab"});
  EXPECT_THROW(matcher.accept(tokenizer()->token_to_id("b").value()), Error);
}

TEST(Grammar, KeepsTheLatest) {
  GrammarCompiler small(tokenizer(), std::vector{end_of_turn}, {.max_kept = 2});
  for (const auto* text : {"a", "b", "c", "c", "b"}) small.compile({Kind::regex, text});
  EXPECT_EQ(small.num_kept(), 2u);
  GrammarCompiler tiny(tokenizer(), std::vector{end_of_turn}, {.max_kept_bytes = 5});
  for (const auto* text : {"aaaa", "bbbb"}) tiny.compile({Kind::regex, text});
  EXPECT_EQ(tiny.num_kept(), 1u);
}

TEST(Grammar, ManyThreadsCompileAtOnce) {
  GrammarCompiler shared(tokenizer(), std::vector{end_of_turn}, {.max_kept = 3});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        auto matcher =
            shared.compile({Kind::regex, "[0-9]{" + std::to_string(1 + (i + t) % 5) + "}"});
        const auto digit = tokenizer()->token_to_id("7").value();
        for (int n = 0; n <= (i + t) % 5; ++n) matcher.accept(digit);
        EXPECT_TRUE(matcher.finished());
      }
    });
  for (auto& thread : threads) thread.join();
}

// ---- calls

constexpr std::string_view tools = R"([
  {"type": "function", "function": {"name": "add", "strict": true, "parameters": {"type": "object", "properties": {
      "a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"], "additionalProperties": false}}},
  {"type": "function", "function": {"name": "now"}}])";

TEST(CallGrammar, IsOfTheModelsFormat) {
  const auto hermes = call_grammar("hermes", tools, {}, false);
  EXPECT_TRUE(
      accepts(hermes, R"(<tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>)"));
  EXPECT_TRUE(accepts(hermes, "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>"));
  EXPECT_TRUE(accepts(hermes,
                      "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>\n"
                      "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>"));
  EXPECT_FALSE(accepts(hermes, R"(<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>)"));
  EXPECT_FALSE(accepts(hermes, "Hello"));
  EXPECT_TRUE(accepts(
      call_grammar("llama3_json", tools, {}, false),
      R"({"name": "add", "parameters": {"a": 1, "b": 2}}; {"name": "now", "parameters": {}})"));
  EXPECT_TRUE(accepts(
      call_grammar("mistral", tools, {}, false),
      R"([TOOL_CALLS][{"name": "now", "arguments": {}}, {"name": "now", "arguments": {}}])"));
  EXPECT_TRUE(accepts(call_grammar("mistral", tools, {}, true),
                      R"([TOOL_CALLS]add[ARGS]{"a": 1, "b": 2})"));
}

TEST(CallGrammar, FormatsOfOtherFamilies) {
  const auto is_forced = [](std::string_view format, std::string_view answer) {
    return accepts(call_grammar(format, tools, {}, false), std::string(answer));
  };
  EXPECT_TRUE(is_forced("phi", R"(<|tool_call|>[{"name": "now", "arguments": {}}]<|/tool_call|>)"));
  EXPECT_TRUE(is_forced(
      "kimi_k2",
      R"(<|tool_calls_section_begin|><|tool_call_begin|>functions.add:12<|tool_call_argument_begin|>{"a": 1, "b": 2}<|tool_call_end|>)"
      R"(<|tool_call_begin|>functions.now:13<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>)"));
  EXPECT_TRUE(is_forced(
      "deepseek",
      R"(<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>add<｜tool▁sep｜>{"a": 1, "b": 2}<｜tool▁call▁end｜><｜tool▁calls▁end｜>)"));
  EXPECT_TRUE(is_forced(
      "deepseek",
      "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n"
      "```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"));
  EXPECT_FALSE(is_forced(
      "deepseek",
      R"(<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>add<｜tool▁sep｜>{"a": 1}<｜tool▁call▁end｜><｜tool▁calls▁end｜>)"));
  EXPECT_TRUE(
      is_forced("command_r", "Action: ```json\n[{\"tool_name\": \"now\", \"parameters\": {}}]```"));
}

TEST(CallGrammar, EveryFormatIsForcedOrRefusedByName) {
  int forced = 0;
  for (const auto& name : OutputFormat::tool_parsers()) {
    if (name == "auto" || name == "none" || name == "harmony") continue;
    try {
      compiler().compile(call_grammar(name, tools, {}, false));
      ++forced;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("'" + name + "'"), std::string::npos);
      EXPECT_EQ(error.field(), "tool_choice");
    }
  }
  EXPECT_EQ(forced, 12);
}

constexpr std::string_view mail =
    R"([{"type": "function", "function": {"name": "mail", "strict": true, "parameters": {"type": "object",
    "properties": {"to": {"type": "string", "description": "whom"}, "times": {"type": "integer", "minimum": 1}, "kind": {"enum": ["note", "call"]},
    "tags": {"$ref": "#/$defs/tags"}, "more": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
    "required": ["to", "times"], "$defs": {"tags": {"type": "array"}}}}}])";

TEST(CallGrammar, ArgumentsBetweenTags) {
  const std::string tags = R"("tags": {"$ref": "#/$defs/tags"}, )";
  std::string known(mail);
  known.erase(known.find(tags),
              tags.size());  // what they are the reference tells, not the schema itself
  EXPECT_THROW(call_grammar("glm", mail, {}, false), Error);
  const auto coder = call_grammar("qwen3_coder", known, {}, false);
  const auto calling = [](const std::string& parameters) {
    return "<tool_call>\n<function=mail>\n" + parameters + "</function>\n</tool_call>";
  };
  const std::string to = "<parameter=to>\nAda\n\"Countess\" </x>\n</parameter>\n";
  const auto times = [](const std::string& n) {
    return "<parameter=times>\n" + n + "\n</parameter>\n";
  };
  EXPECT_TRUE(accepts(coder, calling(to + times("2"))));
  EXPECT_TRUE(accepts(coder, calling(to + times("2")) + "\n" + calling(to + times("3"))));
  EXPECT_FALSE(accepts(coder, calling(to + times("0"))));
  EXPECT_FALSE(accepts(coder, calling(to)));
  EXPECT_TRUE(accepts(coder, calling(to + times("2") + "<parameter=kind>\nnote\n</parameter>\n" +
                                     "<parameter=more>\nnull\n</parameter>\n")));
  EXPECT_FALSE(accepts(coder, calling(to + times("2") + "<parameter=kind>\nnot\n</parameter>\n")));
  EXPECT_TRUE(accepts(
      call_grammar("minimax", known, {}, false),
      "<minimax:tool_call>\n<invoke name=\"mail\">\n<parameter name=\"to\">Ada</parameter>\n"
      "<parameter name=\"times\">2</parameter>\n</invoke>\n</minimax:tool_call>"));
  EXPECT_TRUE(accepts(call_grammar("glm", known, {}, false),
                      "<tool_call>mail\n<arg_key>to</arg_key>\n<arg_value>Ada</arg_value>\n"
                      "<arg_key>times</arg_key>\n<arg_value>2</arg_value>\n</tool_call>"));
}

TEST(CallGrammar, TextsWithBoundsCantBeHeldToBetweenTags) {
  const auto tool = [](const std::string& schema) {
    return R"([{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"x": )" +
           schema + "}}}}]";
  };
  for (const char* schema :
       {R"({"type": "string", "pattern": "a+"})", R"({"type": ["string", "null"], "maxLength": 3})",
        R"({"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 1}]})",
        R"({"$ref": "#/x"})"})
    EXPECT_THROW(call_grammar("qwen3_coder", tool(schema), {}, false), Error) << schema;
  for (const char* schema :
       {R"({"type": "string"})", R"({"type": ["string", "null"]})", "{}",
        R"({"type": "integer", "minimum": 1})",
        R"({"anyOf": [{"type": "integer"}, {"type": "null"}]})", R"({"properties": {}})"})
    EXPECT_NO_THROW(compiler().compile(call_grammar("qwen3_coder", tool(schema), {}, false)))
        << schema;
}

TEST(CallGrammar, KeepsToTheRules) {
  const auto one = call_grammar("hermes", tools, {.allowed = {"now"}, .many = false}, false);
  EXPECT_TRUE(accepts(one, R"(<tool_call>{"name": "now", "arguments": {}}</tool_call>)"));
  EXPECT_FALSE(
      accepts(one, R"(<tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>)"));
  EXPECT_FALSE(accepts(one,
                       "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>\n"
                       "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>"));
  const auto free = call_grammar("hermes", tools, {.text = true}, false);
  EXPECT_TRUE(accepts(free, "Hello there"));
  EXPECT_TRUE(accepts(
      free, R"(I add: <tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>)"));
  EXPECT_FALSE(
      accepts(free, R"(<tool_call>{"name": "add", "arguments": {"a": "x", "b": 2}}</tool_call>)"));
  EXPECT_THROW(call_grammar("llama3_json", tools, {.text = true}, false), Error);
  EXPECT_THROW(call_grammar("pythonic", tools, {}, false), Error);
}

TEST(CallGrammar, RefusesToolsThatAreNone) {
  for (const auto* text : {"{}", "[1]", R"([{"function": 1}])", R"([{"function": {}}])",
                           R"([{"type": "function", "function": {"name": ["add"]}}])"}) {
    try {
      call_grammar("hermes", text, {}, false);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::invalid_argument);
      EXPECT_EQ(error.field(), "tools");
    }
  }
}

TEST(CallGrammar, BeginsWithItsToken) {
  auto matcher = compiler().compile(call_grammar("hermes", tools, {}, false));
  const auto mask = mask_of(matcher);
  for (std::int32_t token = 0; token < tokenizer()->vocab_size(); ++token)
    EXPECT_EQ(has(mask, token), token == tool_call) << token;
}

}  // namespace
}  // namespace pippin::text
