#include "gguf/model_files.h"

#include <boost/json.hpp>

#include "base/files.h"
#include "base/json.h"
#include "gguf/architecture.h"
#include "gguf/file.h"
#include "gguf/tokenizer.h"
#include "vocabulary/model_tokenizer.h"

namespace pippin::gguf {
namespace {

std::optional<std::string> told_by(const std::filesystem::path& model, const std::string& name) {
  if (name == "config.json") return json::serialize(config_of(open_all(model)));
  const auto text = [&](auto&& make) { return make(File(model).metadata()); };
  if (name == "tokenizer.json") return text(tokenizer_of);
  if (name == "tokenizer_config.json")
    return text([](const Metadata& m) { return json::serialize(tokenizer_config_of(m)); });
  if (name == "generation_config.json")
    return text([](const Metadata& m) { return json::serialize(generation_config_of(m)); });
  return {};
}

}  // namespace

std::optional<std::string> model_file(const std::filesystem::path& model, const std::string& name) {
  if (is_gguf(model)) return told_by(model, name);
  const auto file = model / name;
  if (std::filesystem::exists(file)) return read_text(file);
  return vocabulary::described_file(model, name);
}

std::optional<json::object> model_json(const std::filesystem::path& model,
                                       const std::string& name) {
  const auto text = model_file(model, name);
  if (!text) return {};
  return parse_json_object(*text, (model / name).string());
}

}  // namespace pippin::gguf
