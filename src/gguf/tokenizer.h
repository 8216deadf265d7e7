// The tokenizer that a GGUF file describes, as Hugging Face's files would say it.
#pragma once

#include <boost/json.hpp>

#include <string>

#include "gguf/file.h"

namespace pippin::gguf {

/// tokenizer.json: byte-level BPE ("gpt2") with the split that `tokenizer.ggml.pre` names, or SentencePiece's BPE with
/// byte fallback ("llama"). Throws Error(invalid_argument) naming a kind or a split that is not known, or lists that do not fit.
std::string tokenizer_of(const Metadata& metadata);

/// tokenizer_config.json: the named special tokens and the chat templates.
boost::json::object tokenizer_config_of(const Metadata& metadata);

/// What a split of a byte-level tokenizer is.
struct Split {
  const char* name;
  const char* pattern;
  bool nfc = false;          ///< texts are normalized (NFC) first
  bool whole_first = false;  ///< a piece that is a token stays one, whatever the merges say
  bool bos = false;          ///< texts begin with BOS where the file doesn't say
};

/// Throws Error(invalid_argument) naming those that are known.
const Split& split_of(const std::string& name);

}  // namespace pippin::gguf
