#include "main/served_models.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <set>
#include <system_error>
#include <utility>

#include "pippin/error.h"
#include "server/schema/utf8.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;

bool has_file(const fs::path& folder, const char* extension) {
  std::error_code ignored;
  for (const auto& item : fs::directory_iterator(folder, ignored))
    if (item.path().extension() == extension && item.is_regular_file(ignored)) return true;
  return false;
}

bool is_model(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_regular_file(path, ignored)) return path.extension() == ".gguf";
  return fs::is_regular_file(path / "config.json", ignored) || has_file(path, ".gguf");
}

// Neither what is hidden nor what JSON can't name.
std::vector<fs::path> sorted_items(const fs::path& folder) {
  std::vector<fs::path> items;
  std::error_code ignored;
  for (const auto& item : fs::directory_iterator(folder, ignored)) {
    const std::string name = item.path().filename().string();
    if (!name.starts_with('.') && server::valid_utf8(name) == name) items.push_back(item.path());
  }
  std::sort(items.begin(), items.end());
  return items;
}

bool truth(const CLI::ConfigItem& item, const std::string& field) {
  if (item.inputs.size() == 1 && item.inputs[0] == "true") return true;
  if (item.inputs.size() == 1 && item.inputs[0] == "false") return false;
  throw Error(Code::invalid_argument, field + " must be true or false");
}

std::string text(const CLI::ConfigItem& item, const std::string& field) {
  if (item.inputs.size() == 1 && !item.inputs[0].empty()) return item.inputs[0];
  throw Error(Code::invalid_argument, field + " must be a text");
}

// What is none of a model's own fields is an option of its engine.
void read_item(const CLI::ConfigItem& item, const std::string& field, WantedModel& model,
               std::vector<std::string>& words) {
  if (item.name == "path")
    model.model = text(item, field);
  else if (item.name == "aliases")
    model.aliases = item.inputs;
  else if (item.name == "pin")
    model.pinned = truth(item, field);
  else if (item.name == "load")
    model.loads_at_start = truth(item, field);
  else if (item.inputs == std::vector<std::string>{"true"})
    words.push_back("--" + item.name);
  else if (item.inputs != std::vector<std::string>{"false"})
    words.insert(words.end(), {"--" + item.name, text(item, field)});
}

// Throws for a name of two. What the user calls a model is an alias, too, unless it is another's name.
void check_names(std::vector<WantedModel>& models) {
  std::set<std::string> names;
  for (const WantedModel& model : models) {
    std::vector<std::string> all = model.aliases;
    if (!model.name.empty()) all.push_back(model.name);
    for (const std::string& name : all)
      if (!names.insert(name).second)
        throw Error(Code::invalid_argument, "two models are called '" + name +
                                                "'; a --models file gives them names of their own");
  }
  for (WantedModel& model : models)
    if (names.insert(model.model).second) model.aliases.push_back(model.model);
}

}  // namespace

std::vector<WantedModel> models_in_folder(const fs::path& folder, const EngineOptions& engine) {
  std::vector<WantedModel> models;
  const auto add = [&](const fs::path& path, const std::string& prefix) {
    std::error_code ignored;
    const bool is_file = fs::is_regular_file(path, ignored);
    WantedModel model;
    model.model = path.string();
    model.name = prefix + (is_file ? path.stem() : path.filename()).string();
    // A folder m beside m.gguf.
    if (std::any_of(models.begin(), models.end(),
                    [&](const WantedModel& other) { return other.name == model.name; }))
      model.name = prefix + path.filename().string();
    model.engine = engine;
    models.push_back(std::move(model));
  };
  for (const fs::path& item : sorted_items(folder)) {
    if (is_model(item)) {
      add(item, "");
      continue;
    }
    for (const fs::path& inner : sorted_items(item))
      if (is_model(inner)) add(inner, item.filename().string() + "/");
  }
  if (models.empty())
    throw Error(Code::not_found, "there is no model in '" + folder.string() +
                                     "': neither a folder with a config.json nor a GGUF file");
  return models;
}

std::vector<WantedModel> models_in_file(const fs::path& file, const EngineOptionsFrom& options) {
  std::vector<CLI::ConfigItem> items;
  try {
    items = CLI::ConfigTOML().from_file(file.string());
  } catch (const CLI::Error& error) {
    throw Error(Code::invalid_argument, file.string() + ": " + error.what());
  }
  std::vector<WantedModel> models;
  std::vector<std::vector<std::string>> words;
  for (const CLI::ConfigItem& item : items) {
    if (item.name == "++" || item.name == "--") continue;  // where tables begin and end
    // A dot in a name is none of TOML's paths here: "qwen3-0.6b".
    const std::string name = CLI::detail::join(item.parents, ".");
    const std::string field = file.string() + ": " + (name.empty() ? "" : name + ": ") + item.name;
    if (name.empty())
      throw Error(Code::invalid_argument,
                  field + " is in no model's table; one begins with [NAME]");
    if (models.empty() || models.back().name != name) {
      models.emplace_back().name = name;
      words.emplace_back();
    }
    read_item(item, field, models.back(), words.back());
  }
  if (models.empty()) throw Error(Code::invalid_argument, file.string() + " names no model");
  for (std::size_t i = 0; i < models.size(); ++i) {
    if (models[i].model.empty()) models[i].model = models[i].name;
    // Paths are the file's: wherever the server is started.
    std::error_code ignored;
    const fs::path beside = file.parent_path() / models[i].model;
    if (fs::exists(beside, ignored)) models[i].model = beside.string();
    try {
      models[i].engine = options(words[i]);
    } catch (const Error& error) {
      throw Error(error.code(), file.string() + ": " + models[i].name + ": " + error.what());
    }
  }
  return models;
}

std::vector<WantedModel> wanted_models(const ServeCommand& command) {
  std::vector<WantedModel> models;
  for (const std::string& name : command.models) {
    WantedModel model;
    model.model = name;
    model.loads_at_start = models.empty();
    model.engine = command.engine;
    models.push_back(std::move(model));
  }
  const auto append = [&](std::vector<WantedModel> more) {
    std::move(more.begin(), more.end(), std::back_inserter(models));
  };
  if (!command.models_file.empty())
    append(models_in_file(command.models_file, command.engine_options));
  if (!command.models_dir.empty()) append(models_in_folder(command.models_dir, command.engine));
  if (models.size() > 1 && !command.api.model_names.empty())
    throw Error(Code::invalid_argument,
                "--served-model-name is for a server of one model; a --models file names several");
  check_names(models);
  return models;
}

std::int64_t weight_bytes(const fs::path& model) {
  std::error_code ignored;
  const auto size = [&](const fs::path& file) {
    const auto bytes = fs::file_size(file, ignored);
    return ignored ? 0 : static_cast<std::int64_t>(bytes);
  };
  if (fs::is_regular_file(model, ignored)) return size(model);
  std::int64_t bytes = 0;
  for (const auto& item : fs::directory_iterator(model, ignored))
    if (item.path().extension() == ".safetensors") bytes += size(item.path());
  return bytes;
}

}  // namespace pippin
