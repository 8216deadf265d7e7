// The models that `pippin serve` serves: from the command line, a folder and a file.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "main/command_line.h"
#include "server/models/pool.h"

namespace pippin {

/// One of them, before it is looked for.
struct WantedModel {
  std::string model;                 ///< as get_model takes it
  std::string name;                  ///< for clients; empty: the model's own
  std::vector<std::string> aliases;  ///< further ones
  bool pinned = false;
  bool loads_at_start = false;
  EngineOptions engine;
};

/// In the order of the command line: those that it names (the first of them is loaded at the start), those of --models, those of
/// --models-dir. Throws Error naming what is wrong with the file, a folder without models, and a name that two of them have.
std::vector<WantedModel> wanted_models(const ServeCommand& command);

/// The models of a --models file: a table each, [NAME] with path, aliases, pin, load and options of engines.
std::vector<WantedModel> models_in_file(const std::filesystem::path& file,
                                        const EngineOptionsFrom& options);

/// The models of a --models-dir: each folder with a config.json and each GGUF file, also one folder deeper.
std::vector<WantedModel> models_in_folder(const std::filesystem::path& folder,
                                          const EngineOptions& engine);

/// Bytes of its weights' files.
std::int64_t weight_bytes(const std::filesystem::path& model);

}  // namespace pippin
