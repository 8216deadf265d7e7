// Constraints whose grammar gets too complex to follow in the middle of an answer, on the demo model's tokenizer.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <new>
#include <optional>
#include <vector>

#include "engine/constrain/answer_constraint.h"
#include "engine/constrain/channel_constraint.h"
#include "engine/constrain/testing.h"
#include "pippin/error.h"
#include "text/grammar.h"

namespace pippin::engine {
namespace {

constexpr std::int32_t end_of_turn = 2;

std::shared_ptr<const text::Tokenizer> tokenizer() {
  static const auto loaded =
      text::Tokenizer::load(std::filesystem::path(PIPPIN_SOURCE_DIR) / "assets/demo-model");
  return loaded;
}

// Of a lexer that has a state for each set of places at which a text has the letter q: harmless in words without one, so that it is
// compiled.
text::Matcher growing_matcher() {
  static text::GrammarCompiler compiler(tokenizer(), std::vector{end_of_turn},
                                        {.max_grammar_bytes = 512 << 10});
  auto matcher = compiler.compile({text::Grammar::Kind::regex, "[a-z ]*q[a-z ]{200}"});
  matcher.blame("guided_regex");
  return matcher;
}

std::unique_ptr<Constraint> of_answers() {
  AnswerConstraint::Options options;
  options.matcher = growing_matcher();
  options.end_tokens = {end_of_turn};
  return std::make_unique<AnswerConstraint>(std::move(options));
}

std::unique_ptr<Constraint> of_channels() {
  return std::make_unique<ChannelConstraint>(growing_matcher(), std::nullopt);
}

TEST(FillFailure, IsToldAsAnErrorOfItsKind) {
  const auto code_of = [](const auto& thrown) {
    FillFailure failure;
    failure.check();  // nothing has failed
    try {
      throw thrown;
    } catch (...) {
      failure.keep();
    }
    for (int i = 0; i < 2; ++i) {
      try {
        failure.check();
        ADD_FAILURE() << "nothing was thrown";
      } catch (const Error& error) {
        if (i == 1) return error.code();
      }
    }
    return Code::internal;
  };
  EXPECT_EQ(code_of(Error(Code::invalid_argument, "too complex")), Code::invalid_argument);
  EXPECT_EQ(code_of(std::bad_alloc()), Code::unavailable);
}

class FailedConstraint : public ::testing::TestWithParam<std::unique_ptr<Constraint> (*)()> {};

TEST_P(FailedConstraint, IsToldByCheckAndByNothingElse) {
  const auto constraint = GetParam()();
  const auto q = tokenizer()->token_to_id("q").value(), a = tokenizer()->token_to_id("a").value();
  std::vector<std::uint32_t> words(text::mask_words(tokenizer()->vocab_size()));
  std::optional<Error> failure;
  for (int i = 0; i < 200 && !failure; ++i) {
    constraint->fill(words);
    try {
      constraint->check();
      constraint->accept(i % 3 == 0 || i % 7 == 0 ? q : a);
    } catch (const Error& error) {
      failure = error;
    }
  }
  ASSERT_TRUE(failure) << "it never got too large";
  EXPECT_EQ(failure->code(), Code::invalid_argument);
  EXPECT_EQ(failure->field(), "guided_regex");
  EXPECT_FALSE(constraint->finished());
  // It stays so: nothing may come, not even an end.
  constraint->fill(words);
  EXPECT_TRUE(std::all_of(words.begin(), words.end(), [](auto word) { return word == 0; }));
  EXPECT_THROW(constraint->check(), Error);
  EXPECT_THROW(constraint->accept(a), Error);
}

INSTANTIATE_TEST_SUITE_P(Kinds, FailedConstraint, ::testing::Values(&of_answers, &of_channels));

}  // namespace
}  // namespace pippin::engine
