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

}  // namespace pippin::gguf
