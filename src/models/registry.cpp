#include "models/registry.h"

#include "base/json.h"
#include "models/qwen3.h"
#include "models/qwen3_vl.h"
#include "pippin/error.h"

namespace pippin::models {
namespace {

using LoadFn = std::unique_ptr<Model> (*)(const std::filesystem::path&, const json::object&,
                                          const nn::LoadOptions&);

struct Entry {
  const char* model_type;
  LoadFn load;
};

constexpr Entry entries[] = {
    {"qwen3", load_qwen3},
    {"qwen3_vl", load_qwen3_vl},
};

std::string known_types() {
  std::string names;
  for (const auto& entry : entries)
    names += (names.empty() ? "" : ", ") + std::string(entry.model_type);
  return names;
}

json::object read_config(const std::filesystem::path& model_dir) {
  if (!std::filesystem::exists(model_dir / "config.json"))
    throw Error(Code::not_found,
                "[model] " + model_dir.string() + " is no model directory: it has no config.json");
  return read_json_object(model_dir / "config.json");
}

const Entry& entry_of(const std::filesystem::path& model_dir, const json::object& config) {
  const auto type = Members(config).string("model_type").value_or("");
  for (const auto& entry : entries)
    if (type == entry.model_type) return entry;
  throw Error(Code::invalid_argument, "[model] " + model_dir.string() + ": model_type '" + type +
                                          "' is not supported; known are: " + known_types());
}

}  // namespace

void check_family(const std::filesystem::path& model_dir) {
  entry_of(model_dir, read_config(model_dir));
}

std::unique_ptr<Model> load_model(const std::filesystem::path& model_dir,
                                  const nn::LoadOptions& options) {
  const auto config = read_config(model_dir);
  return entry_of(model_dir, config).load(model_dir, config, options);
}

mx::Dtype checkpoint_dtype(const std::filesystem::path& model_dir) {
  const auto config = read_config(model_dir);
  for (const auto* object : {&config, Members(config).object("text_config")})
    for (const char* key : {"dtype", "torch_dtype"}) {
      const auto name = object ? Members(*object).string(key).value_or("") : "";
      if (name == "float32") return mx::float32;
      if (name == "float16") return mx::float16;
      if (name == "bfloat16") return mx::bfloat16;
    }
  return mx::bfloat16;
}

std::unique_ptr<Encoding> Model::start_encoding(std::span<const media::Patches* const>) const {
  throw Error(Code::invalid_argument,
              "[model] a " + traits().model_type + " model takes no pictures");
}

MediaFeatures Model::encode(const media::Patches& patches) const {
  const media::Patches* const picture = &patches;
  const auto encoding = start_encoding(std::span(&picture, 1));
  while (encoding->advance()) {
  }
  return std::move(encoding->take().front());
}

}  // namespace pippin::models
