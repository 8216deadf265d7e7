#include "main/model_dir.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <system_error>
#include <vector>

#include "gguf/file.h"
#include "pippin/error.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;

bool is_model(const fs::path& dir) {
  std::error_code ignored;
  return fs::is_regular_file(dir / "config.json", ignored);
}

// The parts of a split file count as their first.
std::vector<fs::path> gguf_files(const fs::path& dir) {
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const auto& item : fs::directory_iterator(dir, ignored)) {
    if (item.path().extension() == ".safetensors") return {};
    const auto name = item.path().stem().string();
    const auto part = name.rfind("-of-");
    const bool later = part != std::string::npos && part >= 6 &&
                       name.substr(part - 6, 6) != "-00001" &&
                       name.find_first_not_of("0123456789", part - 5) == part;
    if (gguf::is_gguf(item.path()) && !later && !name.starts_with("mmproj"))
      files.push_back(item.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Absolute. The last link is not followed: in a hub's cache it leads to a file without a name, beside which no parts are found.
fs::path named_path(const fs::path& file) {
  const auto absolute = fs::absolute(file).lexically_normal();
  return fs::canonical(absolute.parent_path()) / absolute.filename();
}

// A GGUF file, or the only one of a directory that has no other weights.
std::optional<fs::path> find_gguf(const fs::path& model) {
  std::error_code ignored;
  if (fs::is_regular_file(model, ignored) && gguf::is_gguf(model)) return named_path(model);
  if (!fs::is_directory(model, ignored)) return {};
  const auto files = gguf_files(model);
  if (files.empty()) return {};
  if (files.size() == 1) return named_path(files.front());
  std::string names;
  for (const auto& file : files) names += (names.empty() ? "" : ", ") + file.filename().string();
  throw Error(Code::invalid_argument,
              "the directory '" + model.string() +
                  "' holds several models; name one of its files: " + names);
}

// As the shell found it: a path where the name has a slash, else a file in one of PATH's folders.
fs::path found_by_shell(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  std::error_code ignored;
  for (std::string folder; std::getline(folders, folder, ':');)
    if (fs::exists(fs::path(folder) / name, ignored)) return fs::path(folder) / name;
  return name;
}

}  // namespace

fs::path program_path(const char* argv0) {
  std::error_code error;
  fs::path self = fs::read_symlink("/proc/self/exe", error);  // Linux only
  if (!error) return self;
  self = fs::canonical(found_by_shell(argv0 ? argv0 : ""), error);
  return error ? fs::path() : self;
}

fs::path find_model(const std::string& model, const fs::path& program) {
  if (model == "demo" && !is_model(model)) {
    for (fs::path folder = program.parent_path(); !folder.empty(); folder = folder.parent_path()) {
      for (const char* place : {"share/pippin/demo-model", "assets/demo-model"})
        if (is_model(folder / place)) return folder / place;
      if (folder == folder.root_path()) break;
    }
    throw Error(Code::not_found, "the built-in model was not found beside " + program.string() +
                                     " (share/pippin/demo-model or assets/demo-model)");
  }
  if (const auto file = find_gguf(model)) return *file;
  if (is_model(model)) return fs::canonical(model);
  std::error_code ignored;
  throw Error(
      Code::not_found,
      (fs::is_directory(model, ignored) ? "there is no config.json in the directory '" + model + "'"
                                        : "there is no directory '" + model + "'") +
          "; a model is a directory with config.json, a tokenizer (tokenizer.json, tekken.json, "
          "tokenizer.model ...) and "
          "*.safetensors, a GGUF file, organization/name or a short name of one that "
          "a hub has (see pippin pull --help), or 'demo' for the "
          "built-in one");
}

}  // namespace pippin
