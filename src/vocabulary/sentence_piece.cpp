// SentencePiece's tokenizer.model.
#include "base/json.h"
#include "base/rust.h"
#include "vocabulary/formats.h"

namespace pippin::vocabulary {
namespace {

enum ModelType : std::int64_t { unigram = 1, bpe = 2 };

json::object parsed(std::string_view bytes) {
  rust::Buffer text, error;
  const auto status =
      pippin_sentence_piece_read(rust::bytes(bytes), bytes.size(), text.out(), error.out());
  rust::check(status, error, "tokenizer");
  return parse_json(text.view(), "SentencePiece model").get_object();
}

std::optional<NamedToken> named(const Members& file, const Tokens& tokens, const char* key) {
  const auto id = file.required_integer(key);
  if (id < 0 || static_cast<std::size_t>(id) >= tokens.texts.size()) return {};
  return NamedToken{tokens.texts[static_cast<std::size_t>(id)], id};
}

// What would be computed wrongly.
void check_supported(const Members& file) {
  const auto type = file.required_integer("model_type");
  if (type != unigram && type != bpe)
    refuse("model_type " + std::to_string(type) +
           " is not supported; known are 1 (unigram) and 2 (BPE)");
  if (file.boolean("denormalizes").value()) refuse("a denormalizer is not supported");
}

}  // namespace

SentencePieceFile read_sentence_piece(std::string_view bytes) {
  const auto document = parsed(bytes);
  const Members file(document);
  check_supported(file);
  SentencePieceFile read;
  read.tokens.texts = json::value_to<std::vector<std::string>>(document.at("pieces"));
  if (read.tokens.texts.empty()) refuse("it has no pieces");
  auto& model = read.model;
  model.unigram = file.required_integer("model_type") == unigram;
  model.scores = json::value_to<std::vector<double>>(document.at("scores"));
  for (const auto& kind : document.at("kinds").as_array())
    model.kinds.push_back(static_cast<Kind>(kind.to_number<std::int64_t>()));
  model.byte_fallback = file.boolean("byte_fallback").value();
  model.charsmap = file.string("charsmap").value();
  model.dummy_prefix = file.boolean("add_dummy_prefix").value();
  model.space_behind = file.boolean("treat_whitespace_as_suffix").value();
  model.removes_extra_spaces = file.boolean("remove_extra_whitespaces").value();
  model.escapes_spaces = file.boolean("escape_whitespaces").value();
  read.tokens.added = added_of(read.tokens.texts, model.kinds, true);
  read.names = {named(file, read.tokens, "bos_id"), named(file, read.tokens, "eos_id"),
                named(file, read.tokens, "unk_id"), named(file, read.tokens, "pad_id")};
  if (read.names.unknown) model.unknown = read.names.unknown->text;
  return read;
}

}  // namespace pippin::vocabulary
