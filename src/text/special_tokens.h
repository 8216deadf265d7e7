// The named special tokens of a checkpoint: bos_token, eos_token, pad_token ...
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace pippin::text {

/// Name ("bos_token") to spelling ("<s>"), from tokenizer_config.json and, where that has none,
/// special_tokens_map.json; each value a string or an AddedToken object. A name whose value is null
/// is left out. Missing files give an empty map; broken ones throw Error(invalid_argument).
std::map<std::string, std::string> read_special_tokens(const std::filesystem::path& model_dir);

}  // namespace pippin::text
