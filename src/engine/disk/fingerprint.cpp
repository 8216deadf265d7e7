#include "engine/disk/fingerprint.h"

#include <algorithm>
#include <cstdint>

#include "base/digest.h"
#include "base/files.h"

namespace pippin::engine {
namespace {

namespace fs = std::filesystem;

void update(Hasher& hasher, std::span<const std::uint8_t> bytes) {
  hasher.update_value(static_cast<std::uint64_t>(bytes.size()));
  hasher.update(bytes);
}

void update(Hasher& hasher, const std::string& text) {
  update(hasher, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

std::vector<fs::path> files_of(const fs::path& model_dir) {
  if (!fs::is_directory(model_dir)) return {model_dir};  // one file that is all
  std::vector<fs::path> files;
  for (const auto& item : fs::directory_iterator(model_dir))
    if (item.path().filename() == "config.json" || item.path().extension() == ".safetensors")
      files.push_back(item.path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

Digest model_fingerprint(const fs::path& model_dir, const std::vector<std::string>& setup) {
  Hasher hasher;
  for (const auto& text : setup) update(hasher, text);
  for (const auto& file : files_of(model_dir)) {
    update(hasher, file.filename().string());
    update(hasher, MappedFile(file).bytes());
  }
  return hasher.finish();
}

}  // namespace pippin::engine
