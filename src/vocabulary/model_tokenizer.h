// The tokenizer of a model directory that has no tokenizer.json: what its other files say, as Hugging Face's files would say it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace pippin::vocabulary {

/// The text of tokenizer.json or tokenizer_config.json; nullopt where no file tells it, and for any other name. Read are Mistral's
/// tekken.json, SentencePiece's tokenizer.model, tiktoken's files (tiktoken.model, *.tiktoken, tokenizer.model), and vocab.json with
/// merges.txt; and beside them tokenizer_config.json and added_tokens.json.
/// Throws Error(invalid_argument) naming the file and what is wrong in it, or what of it is not supported.
std::optional<std::string> described_file(const std::filesystem::path& dir,
                                          const std::string& name);

/// Whether a path is a file at a repository's root that a tokenizer is read from.
bool is_tokenizer_file(const std::string& name);

/// Those names, for messages.
inline constexpr const char* tokenizer_file_names =
    "tokenizer.json, tekken.json, tokenizer.model, tiktoken.model, *.tiktoken, or vocab.json with "
    "merges.txt";

}  // namespace pippin::vocabulary
