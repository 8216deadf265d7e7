// Oracle: what Python's `tokenizers` does with the same files (tools/tokenizers/make_testdata.py).
#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/files.h"
#include "base/json.h"
#include "pippin/error.h"
#include "text/test_files.h"

namespace pippin::text {
namespace {

std::vector<std::int32_t> ids_of(const json::value& list) {
  return json::value_to<std::vector<std::int32_t>>(list);
}

/// One of the kinds of tokenizer that checkpoints carry; the parameter is its folder.
class TokenizerKind : public testing::TestWithParam<const char*> {
 protected:
  std::filesystem::path folder_ = testdata("tokenizers") / GetParam();
  std::shared_ptr<const Tokenizer> tokenizer_ = Tokenizer::load(folder_);
  json::object expected_ = read_json_object(folder_ / "expected.json");
};

TEST_P(TokenizerKind, EncodesAsTheReferenceDoes) {
  for (const auto& value : expected_.at("encode").as_array()) {
    const auto& entry = value.as_object();
    const auto text = json::value_to<std::string>(entry.at("text"));
    const auto ids = tokenizer_->encode(text, entry.at("add_special").as_bool());
    EXPECT_EQ(ids, ids_of(entry.at("ids"))) << text;
  }
}

TEST_P(TokenizerKind, DecodesAsTheReferenceDoes) {
  for (const auto& value : expected_.at("decode").as_array()) {
    const auto& entry = value.as_object();
    const auto text =
        tokenizer_->decode(ids_of(entry.at("ids")), entry.at("skip_special").as_bool());
    EXPECT_EQ(text, json::value_to<std::string>(entry.at("text"))) << entry;
  }
}

TEST_P(TokenizerKind, MapsEveryIdToItsTokenAndBack) {
  EXPECT_EQ(tokenizer_->vocab_size(), expected_.at("vocab_size").as_int64());
  for (std::int32_t id = 0; id < tokenizer_->vocab_size(); ++id) {
    const auto token = tokenizer_->id_to_token(id);
    ASSERT_TRUE(token) << id;
    EXPECT_EQ(tokenizer_->token_to_id(*token), id);
  }
  EXPECT_FALSE(tokenizer_->id_to_token(tokenizer_->vocab_size()));
  EXPECT_FALSE(tokenizer_->id_to_token(-1));
  EXPECT_FALSE(tokenizer_->token_to_id("no such token"));
}

TEST_P(TokenizerKind, TokensBytesAreTheTexts) {
  const std::string text = "The red circle: 12 + 30, Größe 苹果 🙂";
  std::string bytes;
  for (const auto id : tokenizer_->encode(text)) bytes += tokenizer_->token_bytes(id);
  const std::string decoded = tokenizer_->decode(tokenizer_->encode(text));
  // SentencePiece puts a space before a text; WordPiece and unknown tokens give other texts.
  if (decoded == text) {
    EXPECT_TRUE(bytes == text || bytes == " " + text) << bytes;
  }
  EXPECT_EQ(tokenizer_->token_bytes(-1), "");
  EXPECT_EQ(tokenizer_->token_bytes(tokenizer_->vocab_size()), "");
}

TEST_P(TokenizerKind, GivesTheSameFromManyThreads) {
  const std::string text = "The red circle: 12 + 30, Größe 苹果 🙂";
  const auto ids = tokenizer_->encode(text);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) wrong += tokenizer_->encode(text) != ids;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

INSTANTIATE_TEST_SUITE_P(Kinds, TokenizerKind,
                         testing::Values("byte_level", "byte_fallback", "metaspace"),
                         [](const auto& info) { return std::string(info.param); });

TEST(Tokenizer, RecognisesSpecialTokensInTheText) {
  const auto tokenizer = Tokenizer::load(testdata("tokenizers/byte_level"));
  const auto start = tokenizer->token_to_id("<|im_start|>");
  const auto end = tokenizer->token_to_id("<|im_end|>");
  ASSERT_TRUE(start && end);
  const auto ids = tokenizer->encode("<|im_start|>a<|im_end|>");
  ASSERT_EQ(ids.size(), 3u);
  EXPECT_EQ(ids.front(), *start);
  EXPECT_EQ(ids.back(), *end);
  EXPECT_TRUE(tokenizer->is_special(*start));
  EXPECT_FALSE(tokenizer->is_special(ids[1]));
  EXPECT_FALSE(tokenizer->is_special(-1));
  EXPECT_FALSE(tokenizer->is_special(*tokenizer->token_to_id("<think>"))) << "added, not special";
  EXPECT_EQ(tokenizer->decode(ids), "a");
  EXPECT_EQ(tokenizer->decode(ids, false), "<|im_start|>a<|im_end|>");
}

TEST(Tokenizer, KnowsTheNamedSpecialTokens) {
  const auto tokenizer = Tokenizer::load(testdata("tokenizers/byte_level"));
  EXPECT_EQ(tokenizer->eos_id(), tokenizer->token_to_id("<|im_end|>"));
  EXPECT_EQ(tokenizer->pad_id(), tokenizer->token_to_id("<|endoftext|>"));
  EXPECT_FALSE(tokenizer->bos_id()) << "null in tokenizer_config.json";
  EXPECT_FALSE(tokenizer->special_id("unk_token")) << "named, but not in the vocabulary";
  EXPECT_EQ(tokenizer->special_tokens().at("unk_token"), "<none>");
}

TEST(Tokenizer, NeverCutsOrPadsAPrompt) {
  const auto folder = testdata("tokenizers/byte_level");
  const auto tokenizer = Tokenizer::load(folder);
  const auto file = read_json_object(folder / "tokenizer.json");
  ASSERT_TRUE(file.at("truncation").is_object()) << "the file asks for 8 tokens";
  EXPECT_EQ(tokenizer->encode("a").size(), 1u);
  EXPECT_GT(tokenizer->encode(std::string(1000, '?')).size(), 8u);
}

TEST(Tokenizer, RefusesWhatItCannotUse) {
  const TemporaryDirectory folder;
  const auto code_of = [&](auto&& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.code();
    }
    return Code::internal;
  };
  EXPECT_EQ(code_of([&] { Tokenizer::load(folder.path()); }), Code::not_found);
  for (const char* broken : {"{", "[]", "{}", R"({"model": {"type": "none"}})"}) {
    folder.write("tokenizer.json", broken);
    EXPECT_EQ(code_of([&] { Tokenizer::load(folder.path()); }), Code::invalid_argument) << broken;
  }
  const auto tokenizer = Tokenizer::load(testdata("tokenizers/byte_level"));
  EXPECT_EQ(code_of([&] { tokenizer->encode("broken \xff"); }), Code::invalid_argument);
}

TEST(Tokenizer, TakesLongAndMonotonousText) {
  const auto tokenizer = Tokenizer::load(testdata("tokenizers/byte_level"));
  for (const char* unit : {" ", "a", "\n", "=", "漢", "\t \n"}) {
    std::string text;
    while (text.size() < 100'000) text += unit;
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text) << unit;
  }
}

}  // namespace
}  // namespace pippin::text
