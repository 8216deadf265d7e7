#include "text/tokenizer.h"

#include "base/rust.h"
#include "gguf/model_files.h"
#include "pippin/error.h"
#include "text/special_tokens.h"
#include "vocabulary/model_tokenizer.h"

namespace pippin::text {

std::shared_ptr<const Tokenizer> Tokenizer::load(const std::filesystem::path& model_dir) {
  const auto file = model_dir / "tokenizer.json";
  const auto json = gguf::model_file(model_dir, "tokenizer.json");
  if (!json)
    throw Error(Code::not_found, "there is no tokenizer in " + model_dir.string() + ": it needs " +
                                     vocabulary::tokenizer_file_names);
  PippinTokenizer* handle = nullptr;
  rust::Buffer error;
  const auto status = pippin_tokenizer_load(rust::bytes(*json), json->size(), &handle, error.out());
  rust::check(status, error, "tokenizer: " + file.string());
  std::shared_ptr<Tokenizer> tokenizer(new Tokenizer(handle, {}));  // owns the handle from here on
  tokenizer->special_tokens_ = read_special_tokens(model_dir);
  return tokenizer;
}

Tokenizer::~Tokenizer() { pippin_tokenizer_free(handle_); }

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, bool add_special) const {
  PippinIds raw{nullptr, 0};
  rust::Buffer error;
  const auto status = pippin_tokenizer_encode(handle_, rust::bytes(text), text.size(),
                                              add_special ? 1 : 0, &raw, error.out());
  rust::check(status, error, "tokenizer");
  const std::unique_ptr<PippinIds, void (*)(PippinIds*)> owner(&raw, pippin_ids_free);
  return {raw.data, raw.data + raw.size};
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  rust::Buffer text;
  rust::Buffer error;
  const auto status = pippin_tokenizer_decode(handle_, ids.data(), ids.size(), skip_special ? 1 : 0,
                                              text.out(), error.out());
  rust::check(status, error, "tokenizer");
  return std::string(text.view());
}

std::optional<std::int32_t> Tokenizer::token_to_id(std::string_view token) const {
  const auto id = pippin_tokenizer_token_to_id(handle_, rust::bytes(token), token.size());
  return id < 0 ? std::nullopt : std::optional(id);
}

std::optional<std::string> Tokenizer::id_to_token(std::int32_t id) const {
  rust::Buffer token;
  const auto status = pippin_tokenizer_id_to_token(handle_, id, token.out(), nullptr);
  return status == PIPPIN_OK ? std::optional(std::string(token.view())) : std::nullopt;
}

std::string Tokenizer::token_bytes(std::int32_t id) const {
  rust::Buffer bytes;
  pippin_tokenizer_token_bytes(handle_, id, bytes.out(), nullptr);
  return std::string(bytes.view());
}

std::int32_t Tokenizer::vocab_size() const { return pippin_tokenizer_vocab_size(handle_); }

bool Tokenizer::is_special(std::int32_t id) const {
  return pippin_tokenizer_is_special(handle_, id) != 0;
}

std::optional<std::int32_t> Tokenizer::special_id(const std::string& name) const {
  const auto found = special_tokens_.find(name);
  return found == special_tokens_.end() ? std::nullopt : token_to_id(found->second);
}

}  // namespace pippin::text
