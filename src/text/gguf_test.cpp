// Tokenizers and templates of GGUF files against tokenizer.json's, and against sentencepiece (tools/formats/make_tokenizers.py).
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/json.h"
#include "gguf/testing.h"
#include "pippin/error.h"
#include "text/chat_template.h"
#include "text/special_tokens.h"
#include "text/test_files.h"
#include "text/tokenizer.h"

namespace pippin::text {
namespace {

const std::filesystem::path byte_level = testdata("tokenizers") / "byte_level";

std::vector<std::int32_t> ids_of(const json::value& entry) {
  return json::value_to<std::vector<std::int32_t>>(entry.as_object().at("ids"));
}

TEST(GgufTokenizer, OfBytesIsTokenizerJsons) {
  const auto ours = Tokenizer::load(byte_level / "tokenizer.gguf");
  const auto theirs = Tokenizer::load(byte_level);
  ASSERT_EQ(ours->vocab_size(), theirs->vocab_size());
  for (std::int32_t id = 0; id < ours->vocab_size(); ++id) {
    EXPECT_EQ(ours->id_to_token(id), theirs->id_to_token(id));
    EXPECT_EQ(ours->is_special(id), theirs->is_special(id)) << id;
    EXPECT_EQ(ours->token_bytes(id), theirs->token_bytes(id)) << id;
  }
  auto texts = std::vector<std::string>{read_text(testdata("tokenizers") / "corpus.txt"),
                                        read_text(testdata("conversations.json"))};
  const auto expected = read_json_object(byte_level / "expected.json");
  for (const auto& entry : expected.at("encode").as_array())
    texts.push_back(json::value_to<std::string>(entry.as_object().at("text")));
  for (const auto& text : texts) {
    const auto ids = ours->encode(text);
    EXPECT_EQ(ids, theirs->encode(text)) << text;
    EXPECT_EQ(ours->decode(ids, false), theirs->decode(ids, false));
  }
}

TEST(GgufTokenizer, OfSentencePieceIsItsOwn) {
  for (const char* name : {"sentencepiece", "sentencepiece_bare"}) {
    const auto folder = testdata("tokenizers") / name;
    const auto tokenizer = Tokenizer::load(folder / "tokenizer.gguf");
    const auto expected = read_json_object(folder / "expected.json");
    for (const auto& entry : expected.at("encode").as_array()) {
      const auto text = json::value_to<std::string>(entry.as_object().at("text"));
      auto ids = ids_of(entry);
      EXPECT_EQ(tokenizer->encode(text), ids) << name << ": " << text;
      ids.insert(ids.begin(), 1);
      EXPECT_EQ(tokenizer->encode(text, true), ids) << name << ": " << text;
    }
    for (const auto& entry : expected.at("decode").as_array())
      EXPECT_EQ(tokenizer->decode(ids_of(entry)),
                json::value_to<std::string>(entry.as_object().at("text")));
  }
}

TEST(GgufTokenizer, NamesItsSpecialTokens) {
  EXPECT_EQ(read_special_tokens(byte_level / "tokenizer.gguf"),
            (std::map<std::string, std::string>{{"eos_token", "<|im_end|>"},
                                                {"pad_token", "<|endoftext|>"}}));
  EXPECT_EQ(read_special_tokens(testdata("tokenizers") / "sentencepiece" / "tokenizer.gguf"),
            (std::map<std::string, std::string>{
                {"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}}));
}

TEST(GgufTokenizer, HasTheTemplates) {
  const auto chat = ChatTemplate::load(testdata("tokenizers") / "sentencepiece" / "tokenizer.gguf");
  ChatInput input;
  input.messages_json = R"([{"role": "user", "content": "Hi"}])";
  EXPECT_EQ(chat.render(input), "<s>Hi");
  EXPECT_EQ(chat.source(true), "tools");
}

std::filesystem::path tokenizer_with(const TemporaryDirectory& dir, const std::string& split) {
  const auto list = [](gguf::testing::Writer& file, const char* key,
                       const std::vector<std::string>& texts) {
    file.text(key).number<std::uint32_t>(9).number<std::uint32_t>(8);
    file.number<std::uint64_t>(texts.size());
    for (const auto& text : texts) file.text(text);
  };
  gguf::testing::Writer file;
  file.header(0, 4).value("tokenizer.ggml.model", "gpt2").value("tokenizer.ggml.pre", split);
  list(file, "tokenizer.ggml.tokens", {"1", "2", "3", "4", "12", "123", "1234"});
  list(file, "tokenizer.ggml.merges", {"1 2", "12 3", "123 4"});
  dir.write("x.gguf", file.bytes);
  return dir.path() / "x.gguf";
}

// Where a number is cut tells the families apart.
TEST(GgufTokenizer, EverySplitCutsAsItsFamilyDoes) {
  const TemporaryDirectory dir;
  const std::vector<std::int32_t> whole = {6}, threes = {5, 3}, digits = {0, 1, 2, 3};
  const std::pair<const char*, std::vector<std::int32_t>> cases[] = {
      {"gpt-2", whole},   {"llama-bpe", threes}, {"llama3", threes},           {"llama-v3", threes},
      {"gpt-4o", threes}, {"smaug-bpe", threes}, {"deepseek-r1-qwen", digits}, {"qwen2", digits},
      {"qwen35", digits}, {"tekken", digits}};
  for (const auto& [split, ids] : cases) {
    const auto tokenizer = Tokenizer::load(tokenizer_with(dir, split));
    // Where the family takes a piece that is a token as it is, this is one all the same: the piece is cut before.
    EXPECT_EQ(tokenizer->encode("1234"), ids) << split;
  }
}

TEST(GgufTokenizer, NamesASplitThatIsNotKnown) {
  const TemporaryDirectory dir;
  try {
    Tokenizer::load(tokenizer_with(dir, "no-such-split"));
    FAIL();
  } catch (const Error& error) {
    const std::string what = error.what();
    EXPECT_NE(what.find("'no-such-split'"), std::string::npos) << what;
    EXPECT_NE(what.find("llama-bpe"), std::string::npos) << what;
  }
}

}  // namespace
}  // namespace pippin::text
