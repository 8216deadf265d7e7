// From what the user calls a model to a directory, through a hub where it is none of this machine.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "hub/fit.h"
#include "hub/pull.h"
#include "pippin/options.h"

namespace pippin {

struct ModelSource {
  std::filesystem::path dir;
  std::string name;  ///< for people and clients: organization/name, or the directory's
};

/// The directory that MODEL means, by find_model (main/model_dir.h), or a model of a hub: from the cache, else fetched, which is shown on
/// standard error. Throws Error(not_found) saying what a model may be, Error(invalid_argument) where one is not supported or does not
/// fit; nothing large has been fetched then.
ModelSource get_model(const std::string& model, const std::filesystem::path& program,
                      const EngineOptions& engine, bool offline);

/// The environment's, with --offline.
hub::Settings hub_settings(bool offline);
/// What is known of an offer's needs before its weights come: nothing where it has no config.json.
hub::Needs needs_of(const hub::Offer& offer);
/// What an engine with these options may take of this machine.
hub::Machine machine_for(const EngineOptions& engine);

/// Fetches, shows progress and is deaf to signals of failed writes meanwhile.
std::filesystem::path pull_shown(const hub::ModelName& name, const hub::Settings& settings,
                                 std::function<void(const hub::Offer&)> on_offer, bool use_cached);

}  // namespace pippin
