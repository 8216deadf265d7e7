// Tokenizers without tokenizer.json. Oracles: sentencepiece, mistral-common and tiktoken (tools/formats/make_other_tokenizers.py).
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/json.h"
#include "pippin/error.h"
#include "text/detokenizer.h"
#include "text/test_files.h"
#include "text/tokenizer.h"

namespace pippin::text {
namespace {

namespace fs = std::filesystem;

using Ids = std::vector<std::int32_t>;

struct Entry {
  std::string text;
  Ids ids;
};

std::vector<Entry> entries(const json::object& file, const char* key) {
  std::vector<Entry> list;
  for (const auto& value : file.at(key).as_array())
    list.push_back(
        {json::value_to<std::string>(value.at("text")), json::value_to<Ids>(value.at("ids"))});
  return list;
}

/// The parameter is a folder of src/text/testdata/tokenizers.
class OtherTokenizer : public testing::TestWithParam<const char*> {
 protected:
  fs::path folder_ = testdata("tokenizers") / GetParam();
  std::shared_ptr<const Tokenizer> tokenizer_ = Tokenizer::load(folder_);
  json::object expected_ = read_json_object(folder_ / "expected.json");
};

TEST_P(OtherTokenizer, EncodesAsItsOwnLibraryDoes) {
  for (const auto& [text, ids] : entries(expected_, "encode"))
    EXPECT_EQ(tokenizer_->encode(text), ids) << json::serialize(json::value(text));
  for (const auto& [text, ids] : entries(expected_, "special"))
    EXPECT_EQ(tokenizer_->encode(text), ids) << text;
}

TEST_P(OtherTokenizer, DecodesToTheTextOrAsItsOwnLibraryDoes) {
  std::map<Ids, std::string> others;
  for (const auto& [text, ids] : entries(expected_, "decode")) others[ids] = text;
  for (const auto& [text, ids] : entries(expected_, "encode")) {
    const auto other = others.find(ids);
    const auto& expected = other == others.end() ? text : other->second;
    if (expected.find(" \u2047 ") != std::string::npos)
      continue;  // an unknown character, as sentencepiece shows it
    EXPECT_EQ(tokenizer_->decode(ids), expected) << json::serialize(json::value(text));
    Detokenizer detokenizer(tokenizer_);
    std::string streamed;
    for (const auto id : ids) streamed += detokenizer.push(id);
    EXPECT_EQ(streamed + detokenizer.finish(), expected);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, OtherTokenizer,
                         testing::Values("spm_bpe_rules", "spm_bpe_suffix", "spm_bpe_symbols",
                                         "spm_unigram", "spm_unigram_bare", "spm_unigram_rules",
                                         "tekken", "tiktoken_kimi", "tiktoken_qwen"),
                         [](const auto& info) { return std::string(info.param); });

// ---- what stands beside the tokenizer's own file

fs::path copied(const TemporaryDirectory& dir, const char* kind, const char* name) {
  dir.write(name, read_text(testdata("tokenizers") / kind / name));
  return dir.path();
}

std::string failure(const fs::path& dir) {
  try {
    Tokenizer::load(dir);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(OtherTokenizerFiles, NameTheSpecialTokensOfTheirOwn) {
  const TemporaryDirectory dir;
  const auto tokenizer = Tokenizer::load(copied(dir, "spm_unigram", "tokenizer.model"));
  EXPECT_EQ(tokenizer->bos_id(), 1);
  EXPECT_EQ(tokenizer->eos_id(), 2);
  EXPECT_EQ(tokenizer->special_tokens().at("unk_token"), "<unk>");
  EXPECT_EQ(tokenizer->encode("", true), Ids{1});
  EXPECT_EQ(tokenizer->encode("<s></s>"), (Ids{1, 2}));
  EXPECT_TRUE(tokenizer->is_special(1));
}

TEST(OtherTokenizerFiles, TakeTokensThatTheConfigAdds) {
  const TemporaryDirectory dir;
  copied(dir, "spm_bpe_symbols", "tokenizer.model");
  dir.write("tokenizer_config.json",
            R"({"add_bos_token": false, "add_eos_token": true, "eos_token": {"content": "<|end|>"},
    "added_tokens_decoder": {"2": {"content": "<|end|>", "special": true}, "9000": {"content": "<|user|>", "special": true},
                             "9001": {"content": "<think>", "special": false}}})");
  const auto tokenizer = Tokenizer::load(dir.path());
  EXPECT_EQ(tokenizer->encode("<|user|><think><|end|>"), (Ids{9000, 9001, 2}));
  EXPECT_EQ(tokenizer->encode("", true), Ids{2});
  EXPECT_EQ(tokenizer->decode(Ids{9000, 9001, 2}), "<think>");
  EXPECT_EQ(tokenizer->eos_id(), 2);
  EXPECT_FALSE(tokenizer->token_to_id("</s>")) << "renamed";
}

TEST(OtherTokenizerFiles, PutASpaceAtTheStartOnlyWhereTheConfigSaysSo) {
  const TemporaryDirectory dir;
  copied(dir, "spm_unigram", "tokenizer.model");
  const auto with = [&](const char* config) {
    dir.write("tokenizer_config.json", config);
    const auto tokenizer = Tokenizer::load(dir.path());
    return tokenizer->decode(tokenizer->encode("a<s>a"), false);
  };
  EXPECT_EQ(with(R"({"legacy": true})"), "a<s> a");
  EXPECT_EQ(with(R"({"legacy": false})"), "a<s>a");
  EXPECT_EQ(with(R"({"legacy": false, "add_prefix_space": false})"), "a<s>a");
}

TEST(OtherTokenizerFiles, ReadVocabAndMerges) {
  const TemporaryDirectory dir;
  dir.write("vocab.json", R"({"a": 0, "b": 1, "ab": 2, "\u0120": 3, "\u0120ab": 4})");
  dir.write("merges.txt", "#version: 0.2\na b\n\u0120 ab\n");
  dir.write(
      "tokenizer_config.json",
      R"({"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": {"5": {"content": "<|x|>", "special": true}}})");
  const auto tokenizer = Tokenizer::load(dir.path());
  EXPECT_EQ(tokenizer->encode("ab ab<|x|>"), (Ids{2, 4, 5}));
  dir.write("tokenizer_config.json", R"({"tokenizer_class": "SomeTokenizer"})");
  EXPECT_NE(failure(dir.path()).find("'SomeTokenizer', known are: GPT2Tokenizer, Qwen2Tokenizer"),
            std::string::npos)
      << failure(dir.path());
}

TEST(OtherTokenizerFiles, SayWhatIsWrongWithThem) {
  const TemporaryDirectory empty;
  for (const char* name : {"tekken.json", "tokenizer.model", "*.tiktoken", "merges.txt"})
    EXPECT_NE(failure(empty.path()).find(name), std::string::npos) << failure(empty.path());
  struct Case {
    const char *file, *text, *complaint;
  };
  for (
      const auto& [file, text, complaint] :
      {Case{"tokenizer.model", "no protobuf",
            "tokenizer.model: [tokenizer] no SentencePiece model"},
       Case{"tokenizer.model", "", "it has no pieces"},
       Case{"tokenizer.model", "YQ== 0\nYg== 2\n", "known are: TikTokenTokenizer"},
       Case{"qwen.tiktoken", "YQ== 0\n", "it says nothing"},
       Case{"vocab.json", "{}", "there is no merges.txt"},
       Case{"tekken.json", "{}", "it has no config"},
       Case{
           "tekken.json",
           R"({"config": {"default_vocab_size": 5, "default_num_special_tokens": 2}, "vocab": []})",
           "default_vocab_size is 5"},
       Case{
           "tekken.json",
           R"({"config": {"pattern": ".", "default_vocab_size": 3, "default_num_special_tokens": 2}, "special_tokens": [], "vocab": [{"rank": 0}]})",
           "rank 0 has no token_bytes"}}) {
    const TemporaryDirectory dir;
    dir.write(file, text);
    EXPECT_NE(failure(dir.path()).find(complaint), std::string::npos) << failure(dir.path());
  }
  const TemporaryDirectory kimi;
  kimi.write("tokenizer_config.json", R"({"tokenizer_class": "TikTokenTokenizer"})");
  kimi.write("tiktoken.model", "YQ== 0\nYg== 2\n");
  EXPECT_NE(failure(kimi.path()).find("the ranks must be 0, 1, 2 ...; line 2 has 2"),
            std::string::npos)
      << failure(kimi.path());
}

}  // namespace
}  // namespace pippin::text
