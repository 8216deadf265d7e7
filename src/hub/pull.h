// A model's name into a directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "hub/client.h"
#include "hub/downloader.h"
#include "hub/name.h"
#include "hub/progress.h"
#include "hub/settings.h"

namespace pippin::hub {

/// A model of a hub before its weights are fetched.
struct Offer {
  ModelName name;
  std::string commit;
  std::string config;  ///< the text of config.json; empty where a GGUF file is all there is
  std::int64_t weight_bytes = 0;   ///< of its safetensors or GGUF file
  std::int64_t missing_bytes = 0;  ///< that would have to come
};

/// How a model is fetched: what tests put in the place of the network, and what its user is told.
struct PullOptions {
  HttpFactory http;  ///< empty: libcurl
  Screen screen;
  /// Called before the weights are fetched, also where none are missing; it may throw, which ends all.
  std::function<void(const Offer&)> on_offer;
  DownloadOptions download;
};

/// Asks the hub what the revision is now and fetches what the cache lacks of it. Returns the snapshot's directory, or its GGUF file (the first part). Throws as Client and
/// Downloader do, and Error(unavailable) where the disk has not enough room, with the numbers.
std::filesystem::path pull_model(const ModelName& name, const Settings& settings,
                                 const PullOptions& options);

/// The model's directory or GGUF file: what the cache has where that is whole (the hub is not asked then), else what pull_model fetches. Throws
/// Error(not_found) where the cache lacks it and settings.offline is set.
std::filesystem::path find_or_pull(const ModelName& name, const Settings& settings,
                                   const PullOptions& options);

/// What the hub has, without fetching any of it but the small files that say so.
Offer look_up(const ModelName& name, const Settings& settings, const PullOptions& options);

}  // namespace pippin::hub
