#include "main/model_dir.h"

#include <cstdlib>
#include <sstream>
#include <system_error>

#include "pippin/error.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;

bool is_model(const fs::path& dir) {
  std::error_code ignored;
  return fs::is_regular_file(dir / "config.json", ignored);
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
  if (is_model(model)) return fs::canonical(model);
  std::error_code ignored;
  throw Error(Code::not_found, (fs::is_directory(model, ignored)
                                    ? "there is no config.json in the directory '" + model + "'"
                                    : "there is no directory '" + model + "'") +
                                   "; a model is a directory with config.json, tokenizer.json and "
                                   "*.safetensors, or 'demo' for the "
                                   "built-in one");
}

}  // namespace pippin
