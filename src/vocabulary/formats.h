// The readers of tokenizer files, one a format. Each throws Error(invalid_argument) saying what is wrong in a text, or what of it is not
// supported; model_tokenizer adds the file's name.
#pragma once

#include <boost/json.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "vocabulary/description.h"

namespace pippin::vocabulary {

/// The tokens that texts begin and end with, and others that have a name, as a file has them.
struct Names {
  std::optional<NamedToken> bos, eos, unknown, padding;
};

struct SentencePieceFile {
  Tokens tokens;
  SentencePiece model;
  Names names;
};

/// SentencePiece's model, a protobuf message.
SentencePieceFile read_sentence_piece(std::string_view bytes);

struct ByteLevelFile {
  Tokens tokens;
  ByteLevel model;
  Names names;
};

/// Mistral's tekken.json.
ByteLevelFile read_tekken(const std::string& text);

/// tiktoken's lines of a token in base64 and its rank. `kind` (tokenizer_class) says how texts are cut, and which special tokens there are
/// that no other file names.
ByteLevelFile read_tiktoken(std::string_view text, const std::string& kind);
bool is_tiktoken(std::string_view text);

/// vocab.json and merges.txt. `kind` says how texts are cut.
ByteLevelFile read_vocab_and_merges(const std::string& vocab, std::string_view merges,
                                    const std::string& kind);

[[noreturn]] void refuse(const std::string& why);

}  // namespace pippin::vocabulary
