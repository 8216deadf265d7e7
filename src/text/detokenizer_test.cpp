// Oracle: Tokenizer::decode of all ids at once. Random ids break characters and words everywhere.
#include "text/detokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "base/files.h"
#include "base/json.h"
#include "text/test_files.h"

namespace pippin::text {
namespace {

bool is_utf8(std::string_view text) {
  // A JSON string takes valid UTF-8 only; control characters are escaped by the serializer.
  boost::system::error_code error;
  json::parse(json::serialize(json::value(text)), error);
  return !error;
}

std::string fold(Detokenizer& detokenizer, const std::vector<std::int32_t>& ids) {
  std::string text;
  for (const auto id : ids) {
    const auto piece = detokenizer.push(id);
    EXPECT_TRUE(is_utf8(piece)) << json::value(json::value_from(ids));
    text += piece;
  }
  return text + detokenizer.finish();
}

std::vector<std::int32_t> random_ids(std::mt19937& rng, std::int32_t vocab_size) {
  // Two ids beyond the vocabulary are in it too; a narrow range repeats bytes and special tokens.
  const std::int32_t range = rng() % 2 ? vocab_size + 2 : std::min(vocab_size, 40);
  std::vector<std::int32_t> ids(rng() % 30);
  for (auto& id : ids) id = static_cast<std::int32_t>(rng() % static_cast<unsigned>(range));
  return ids;
}

/// All random id lists of all lengths, with and without special tokens, on one detokenizer each.
void check_against_decode(const std::shared_ptr<const Tokenizer>& tokenizer) {
  std::mt19937 rng(11);
  for (const bool skip_special : {false, true}) {
    Detokenizer detokenizer(tokenizer, skip_special);
    for (int round = 0; round < 1000; ++round) {
      const auto ids = random_ids(rng, tokenizer->vocab_size());
      EXPECT_EQ(fold(detokenizer, ids), tokenizer->decode(ids, skip_special))
          << json::value(json::value_from(ids));
    }
  }
}

class DetokenizerKind : public testing::TestWithParam<const char*> {
 protected:
  std::shared_ptr<const Tokenizer> tokenizer_ =
      Tokenizer::load(testdata("tokenizers") / GetParam());
};

TEST_P(DetokenizerKind, FoldOfPushesIsTheDecodingAtOnce) { check_against_decode(tokenizer_); }

TEST_P(DetokenizerKind, GivesBackRealText) {
  Detokenizer detokenizer(tokenizer_);
  for (const std::string text : {"The red circle, 12 + 30!", " Größe  und Äpfel", "a 🙂🍎 b"}) {
    const auto ids = tokenizer_->encode(text);
    EXPECT_EQ(fold(detokenizer, ids), tokenizer_->decode(ids));
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, DetokenizerKind,
                         testing::Values("byte_level", "byte_fallback", "metaspace"),
                         [](const auto& info) { return std::string(info.param); });

/// A word-level tokenizer of a few awkward tokens with the given decoder.
std::shared_ptr<const Tokenizer> with_decoder(const std::string& decoder) {
  const std::vector<std::string> tokens = {
      "a",      "▁b",     "##c",       "d</w>",  " ",  "  ",  "<0xE2>", "<0x9C>", "<0x93>",
      "<0xFF>", "<0x41>", "▁",         "▁▁",     "Ġe", "Ã©",  "Ã",      "é",      "<s>",
      ".",      "' s",    "</w>x</w>", "<0xG1>", "�",  "ab ", "\n"};
  json::object vocab;
  for (std::size_t i = 0; i < tokens.size(); ++i) vocab[tokens[i]] = i;
  const json::object model = {{"type", "WordLevel"}, {"vocab", vocab}, {"unk_token", "a"}};
  const json::object special = {{"id", 17},        {"content", "<s>"}, {"single_word", false},
                                {"lstrip", false}, {"rstrip", false},  {"normalized", false},
                                {"special", true}};
  json::object file = {
      {"version", "1.0"}, {"added_tokens", json::array{special}}, {"model", model}};
  for (const auto* part :
       {"truncation", "padding", "normalizer", "pre_tokenizer", "post_processor"}) {
    file[part] = nullptr;
  }
  file["decoder"] = parse_json(decoder, "decoder");
  const TemporaryDirectory folder;
  folder.write("tokenizer.json", json::serialize(file));
  return Tokenizer::load(folder.path());
}

TEST(Detokenizer, FollowsEveryKindOfDecoder) {
  const std::string replace = R"({"type": "Replace", "pattern": {"String": "▁"}, "content": " "})";
  const std::string pattern =
      R"({"type": "Replace", "pattern": {"Regex": "a|b "}, "content": "<>"})";
  const std::string strip = R"({"type": "Strip", "content": " ", "start": 2, "stop": 0})";
  const std::string bytes = R"({"type": "ByteFallback"})";
  const std::string fuse = R"({"type": "Fuse"})";
  const std::string metaspace =
      R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true})";
  const std::string never =
      R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": true})";
  const std::string wordpiece = R"({"type": "WordPiece", "prefix": "##", "cleanup": true})";
  const std::string bpe = R"({"type": "BPEDecoder", "suffix": "</w>"})";
  const std::string byte_level =
      R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false})";
  const std::string ctc =
      R"({"type": "CTC", "pad_token": "a", "word_delimiter_token": "▁b", "cleanup": true})";
  const auto sequence = [](const std::string& decoders) {
    return R"({"type": "Sequence", "decoders": [)" + decoders + "]}";
  };
  for (const auto& decoder : {std::string("null"),
                              replace,
                              pattern,
                              strip,
                              bytes,
                              fuse,
                              metaspace,
                              never,
                              wordpiece,
                              bpe,
                              byte_level,
                              ctc,
                              sequence(replace + "," + bytes + "," + fuse + "," + strip),
                              sequence(replace + "," + bytes + "," + fuse),
                              sequence(sequence(bytes) + "," + metaspace),
                              sequence(bytes + "," + wordpiece),
                              sequence(fuse + "," + pattern),
                              sequence(byte_level + "," + strip),
                              sequence(byte_level + "," + replace),
                              sequence(fuse + "," + metaspace),
                              sequence(bpe + "," + bytes),
                              sequence(fuse + "," + byte_level),
                              sequence("")}) {
    SCOPED_TRACE(decoder);
    check_against_decode(with_decoder(decoder));
  }
}

TEST(Detokenizer, GivesACharacterWithItsLastByte) {
  const auto tokenizer = Tokenizer::load(testdata("tokenizers/byte_level"));
  Detokenizer detokenizer(tokenizer);
  const auto ids = tokenizer->encode("ᚠ!");
  ASSERT_EQ(ids.size(), 4u) << "a rune that training never saw takes three byte tokens";
  EXPECT_EQ(detokenizer.push(ids[0]), "");
  EXPECT_EQ(detokenizer.push(ids[1]), "");
  EXPECT_EQ(detokenizer.push(ids[2]), "ᚠ");
  EXPECT_EQ(detokenizer.push(ids[3]), "!");
  EXPECT_EQ(detokenizer.push(ids[0]), "");
  EXPECT_EQ(detokenizer.finish(), "\xEF\xBF\xBD") << "a character cut short is one U+FFFD";
  EXPECT_EQ(detokenizer.finish(), "");
}

TEST(Detokenizer, OutlivesItsTokenizersOtherOwners) {
  auto tokenizer = Tokenizer::load(testdata("tokenizers/byte_fallback"));
  const auto ids = tokenizer->encode("The end");
  Detokenizer first(tokenizer);
  Detokenizer detokenizer(std::move(first));
  tokenizer.reset();
  EXPECT_EQ(fold(detokenizer, ids), "The end");
}

TEST(Detokenizer, TakesTheSameTimeForEveryToken) {
  const auto tokenizer = Tokenizer::load(testdata("tokenizers/byte_fallback"));
  // The worst run for a detokenizer that decodes again and again: bytes that never become text.
  const auto byte = tokenizer->token_to_id("<0xF0>");
  ASSERT_TRUE(byte);
  const auto seconds = [&](int count) {
    Detokenizer detokenizer(tokenizer);
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) detokenizer.push(*byte);
    const auto text = detokenizer.finish();
    EXPECT_EQ(text.size(), 3u * static_cast<unsigned>(count));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  seconds(2'000);  // warm
  // Quadratic work would take 400 times as long; the bound leaves room for a busy machine.
  EXPECT_LT(seconds(40'000), 100 * std::max(seconds(2'000), 1e-3));
}

}  // namespace
}  // namespace pippin::text
