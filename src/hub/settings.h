// What the environment says about hubs, in the variables of Python's huggingface_hub.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "base/environment.h"

namespace pippin::hub {

struct Settings {
  std::string endpoint;              ///< URL of the hub, without a slash at its end
  std::filesystem::path cache;       ///< folder of models--organization--name
  std::string token;                 ///< empty for none
  bool offline = false;              ///< ask no network
  std::chrono::seconds silence{10};  ///< after which a server counts as gone
};

/// From HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_TOKEN_PATH, HF_HUB_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT and their older names; the
/// token else from the file that `hf auth login` leaves. Throws Error(invalid_argument) naming a variable that can't be used.
Settings read_settings(const Environment& variable = environment_variable);

}  // namespace pippin::hub
