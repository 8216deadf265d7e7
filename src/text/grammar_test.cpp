// Grammars on the demo model's tokenizer.
#include "text/grammar.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <exception>
#include <future>
#include <thread>

#include "pippin/error.h"
#include "text/grammar_testing.h"

namespace pippin::text {
namespace {

constexpr std::int32_t think = 7;
using Kind = Grammar::Kind;

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
  GrammarCompiler tiny(tokenizer(), std::vector{end_of_turn}, {.max_kept_text_bytes = 5});
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

Grammar many_words(int number) {
  std::string list;
  for (int i = 0; i < 3000; ++i)
    list += (list.empty() ? "\"" : ",\"") + std::to_string(number) + " " + std::to_string(i) + '"';
  return {Kind::choice, "[" + list + "]"};
}

// What post() tells.
struct Told {
  std::promise<std::shared_ptr<const Matcher>> promise;

  GrammarCompiler::Done done() {
    return [this](std::shared_ptr<const Matcher> matcher, const std::exception_ptr& failure) {
      failure ? promise.set_exception(failure) : promise.set_value(std::move(matcher));
    };
  }
  std::shared_ptr<const Matcher> get() { return promise.get_future().get(); }
  Code code() {
    try {
      get();
    } catch (const Error& error) {
      return error.code();
    }
    return Code::internal;
  }
};

TEST(Grammar, IsCompiledOnceForAllWhoWaitForIt) {
  GrammarCompiler compiler(tokenizer(), std::vector{end_of_turn});
  const Grammar grammar{Kind::regex, "[a-z]{40}"};
  std::array<Told, 5> told;
  for (auto& one : told) compiler.post(grammar, {"a", ""}, {}, one.done());
  const auto first = told[0].get();
  for (std::size_t i = 1; i < told.size(); ++i) EXPECT_NE(told[i].get(), nullptr);
  EXPECT_EQ(compiler.stats().compiled, 1);
  Told later;
  compiler.post(grammar, {"b", ""}, {}, later.done());
  EXPECT_EQ(later.get(), first);
}

// Compiled at once, they find room for each alone.
TEST(Grammar, ThoseThatAreKeptStayWithinTheLimitAndGiveWay) {
  constexpr std::int64_t limit = 24 << 20;
  GrammarCompiler compiler(tokenizer(), std::vector{end_of_turn},
                           {.max_bytes = limit, .max_grammar_bytes = limit / 4});
  constexpr int many = 16;
  {
    std::array<Told, many> told;
    for (int i = 0; i < many; ++i) compiler.post(many_words(i), {}, {}, told[i].done());
    for (auto& one : told) one.promise.get_future().wait();
  }
  EXPECT_LE(compiler.stats().bytes, limit);
  EXPECT_GT(compiler.stats().kept, 1);
  // Nothing runs: whichever is asked for again is followed.
  for (int i = 0; i < many; ++i) EXPECT_NO_THROW(compiler.compile(many_words(i))) << i;
  EXPECT_LE(compiler.stats().bytes, limit);
}

TEST(Grammar, FailuresAreToldWhoeverWaits) {
  GrammarCompiler compiler(tokenizer(), std::vector{end_of_turn});
  Told wrong, unwanted, wanted;
  compiler.post({Kind::regex, "("}, {}, {}, wrong.done());
  EXPECT_EQ(wrong.code(), Code::invalid_argument);
  // One who is gone takes nothing from another who waits for the same grammar.
  const Grammar grammar{Kind::regex, "[a-z]{41}"};
  compiler.post(grammar, {}, [] { return false; }, unwanted.done());
  compiler.post(grammar, {}, [] { return true; }, wanted.done());
  EXPECT_NE(wanted.get(), nullptr);
  EXPECT_EQ(compiler.stats().refused, 1);
}

TEST(Grammar, WhoWaitsWhenItEndsIsTold) {
  std::array<Told, 8> told;
  {
    GrammarCompiler compiler(tokenizer(), std::vector{end_of_turn});
    for (std::size_t i = 0; i < told.size(); ++i)
      compiler.post({Kind::regex, "[a-z]{" + std::to_string(100 + i) + "}"}, {}, {},
                    told[i].done());
  }
  for (auto& one : told) {
    auto future = one.promise.get_future();
    ASSERT_EQ(future.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  }
}

}  // namespace
}  // namespace pippin::text
