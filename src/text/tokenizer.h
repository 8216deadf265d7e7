// Text to token ids and back, as tokenizer.json says or what stands for it (vocabulary/, gguf/): Hugging Face tokenizers, in rust/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct PippinTokenizer;

namespace pippin::text {

/// A model's tokenizer.
/// Owns the loaded vocabulary. Immutable after load: any thread may call any member at once.
class Tokenizer {
 public:
  /// Loads the tokenizer and the special tokens' names of a model directory or GGUF file. Throws
  /// Error(not_found) without a tokenizer, Error(invalid_argument) where a file makes no sense.
  static std::shared_ptr<const Tokenizer> load(const std::filesystem::path& model_dir);
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  /// Ids of UTF-8 text; a special token spelt out in it becomes its id. `add_special` adds what the
  /// tokenizer itself puts around a text (BOS ...); a rendered chat template holds that already.
  /// Throws Error(invalid_argument) where the text is not UTF-8.
  std::vector<std::int32_t> encode(std::string_view text, bool add_special = false) const;

  /// UTF-8 text of ids; unknown ids are left out, bytes that are no UTF-8 become U+FFFD.
  /// `skip_special` leaves out tokens marked special.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = true) const;

  /// The id of a token's exact spelling in the vocabulary ("<|im_end|>"; "Ġthe", not " the").
  std::optional<std::int32_t> token_to_id(std::string_view token) const;
  /// The vocabulary's spelling of an id.
  std::optional<std::string> id_to_token(std::int32_t id) const;
  /// The bytes that an id stands for in a text: part of a character where the vocabulary cuts one. An added token's are its
  /// spelling, an unknown id's none.
  std::string token_bytes(std::int32_t id) const;
  /// One more than the largest id, added tokens included. A model's logits may be wider.
  std::int32_t vocab_size() const;
  bool is_special(std::int32_t id) const;

  /// The id of a named special token ("bos_token", "eos_token", "pad_token" ...), where the
  /// checkpoint names one that is in the vocabulary.
  std::optional<std::int32_t> special_id(const std::string& name) const;
  std::optional<std::int32_t> bos_id() const { return special_id("bos_token"); }
  std::optional<std::int32_t> eos_id() const { return special_id("eos_token"); }
  std::optional<std::int32_t> pad_id() const { return special_id("pad_token"); }
  /// The named special tokens' spellings, by name.
  const std::map<std::string, std::string>& special_tokens() const { return special_tokens_; }

  /// The library's handle, for the detokenizer.
  const PippinTokenizer* handle() const { return handle_; }

 private:
  Tokenizer(PippinTokenizer* handle, std::map<std::string, std::string> special_tokens)
      : handle_(handle), special_tokens_(std::move(special_tokens)) {}

  PippinTokenizer* handle_;
  std::map<std::string, std::string> special_tokens_;
};

}  // namespace pippin::text
