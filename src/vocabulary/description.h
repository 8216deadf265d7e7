// tokenizer.json, as Hugging Face tokenizers reads it, made of what another format says of a tokenizer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vocabulary/splits.h"

namespace pippin::vocabulary {

/// What a piece is, by SentencePiece's and GGUF's numbers.
enum class Kind : std::int64_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6,
};

/// A token that texts are searched for before all else.
struct AddedToken {
  std::int64_t id = 0;
  std::string text;
  bool special = true;      ///< left out where text is decoded for people
  bool normalized = false;  ///< searched for in the normalized text
  bool left_strip = false, right_strip = false, single_word = false;
};

struct NamedToken {
  std::string text;
  std::int64_t id;
};

/// What all kinds of tokenizer have.
struct Tokens {
  std::vector<std::string>
      texts;  ///< by id; byte-level ones in the alphabet of byte_level_text. Of equal ones the first counts
  std::vector<AddedToken> added = {};
  std::optional<NamedToken> first = {}, last = {};  ///< put around a text (BOS, EOS)
};

/// Byte-level BPE.
struct ByteLevel {
  Split split;
  /// Pairs that become one token, the most urgent first; "left right". Where not given: all pairs whose union is a token, the lowest id
  /// first, which is how tiktoken merges.
  std::optional<std::vector<std::string>> merges;
  std::size_t num_reserved = 0;  ///< tokens at the list's start that no pair becomes
  bool prefix_space = false;
};

/// SentencePiece's BPE and unigram model.
struct SentencePiece {
  bool unigram = false;
  std::vector<Kind> kinds;     ///< by id; empty: all normal
  std::vector<double> scores;  ///< by id
  bool byte_fallback = true;
  std::optional<std::string> unknown;
  std::string charsmap;  ///< of the normalizer, in base64; empty: none
  bool dummy_prefix =
      true;  ///< a space before a text; none before one that is nothing but a token users defined
  bool prefix_at_start_only = false;  ///< no such space behind special tokens
  bool space_behind = false;          ///< the space stands behind a text instead
  bool removes_extra_spaces = false;
  bool escapes_spaces = true;
};

/// Throws Error(invalid_argument) where lists do not fit.
std::string tokenizer_json(const Tokens& tokens, const ByteLevel& model);
std::string tokenizer_json(const Tokens& tokens, const SentencePiece& model);

/// The pieces that are matched as a whole: those that are special, and those that users defined.
std::vector<AddedToken> added_of(const std::vector<std::string>& texts,
                                 const std::vector<Kind>& kinds, bool normalized);

/// Bytes in the alphabet of GPT-2's byte-level tokenizers: a printable character a byte.
std::string byte_level_text(const std::vector<std::uint8_t>& bytes);

}  // namespace pippin::vocabulary
