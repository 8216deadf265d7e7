#include "nn/open_tensors.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "base/json.h"
#include "gguf/file.h"
#include "nn/gguf_tensors.h"
#include "nn/safetensors.h"
#include "pippin/error.h"

namespace pippin::nn {
namespace {

[[noreturn]] void throw_invalid(const std::string& what) {
  throw Error(Code::invalid_argument, "[checkpoint] " + what);
}

std::vector<std::filesystem::path> shards_of_index(const std::filesystem::path& dir) {
  const auto index = read_json_object(dir / "model.safetensors.index.json");
  const auto* map = Members(index).object("weight_map");
  if (!map) throw_invalid((dir / "model.safetensors.index.json").string() + " has no weight_map");
  std::set<std::filesystem::path> files;
  for (const auto& [name, file] : *map) {
    if (!file.is_string())
      throw_invalid("weight_map of '" + std::string(name) + "' is not a file name");
    // Only the name: an index must not reach outside its directory.
    files.insert(dir / std::filesystem::path(std::string(file.as_string())).filename());
  }
  return {files.begin(), files.end()};
}

std::vector<std::filesystem::path> weight_files(const std::filesystem::path& dir) {
  if (std::filesystem::exists(dir / "model.safetensors.index.json")) return shards_of_index(dir);
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(dir))
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
  if (files.empty())
    throw Error(Code::not_found, "[checkpoint] " + dir.string() + " holds no .safetensors file");
  std::sort(files.begin(), files.end());
  return files;
}

TensorFiles open_gguf(const std::filesystem::path& model, bool groups_of_16) {
  auto parts = gguf::open_all(model);
  const gguf::Placements placements(parts.front().metadata());
  TensorFiles files;
  for (auto& part : parts)
    files.push_back(std::make_unique<GgufTensors>(std::move(part), placements, groups_of_16));
  return files;
}

}  // namespace

TensorFiles open_tensors(const std::filesystem::path& model,
                         const std::optional<PackedInts>& packed, bool groups_of_16) {
  if (gguf::is_gguf(model)) return open_gguf(model, groups_of_16);
  TensorFiles files;
  if (packed) {
    std::vector<SafetensorsFile> parts;
    for (const auto& file : weight_files(model)) parts.emplace_back(file);
    files.push_back(std::make_unique<PackedIntTensors>(std::move(parts), *packed));
    return files;
  }
  for (const auto& file : weight_files(model))
    files.push_back(std::make_unique<SafetensorsFile>(file));
  return files;
}

}  // namespace pippin::nn
