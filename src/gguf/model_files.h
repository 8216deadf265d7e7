// The small files of a model: those of its directory, or what a GGUF file or another format's tokenizer says in their place. A model's path is either.
#pragma once

#include <boost/json/fwd.hpp>

#include <filesystem>
#include <optional>
#include <string>

namespace pippin::gguf {

/// The text of config.json, tokenizer.json, tokenizer_config.json, generation_config.json or any other file of a directory;
/// nullopt where the model has none of that name. Throws Error(invalid_argument) where a GGUF file is malformed or describes
/// what is not supported.
std::optional<std::string> model_file(const std::filesystem::path& model, const std::string& name);

/// The same of a JSON file whose top level is an object. Throws Error(invalid_argument) where it is none.
std::optional<boost::json::object> model_json(const std::filesystem::path& model,
                                              const std::string& name);

}  // namespace pippin::gguf
