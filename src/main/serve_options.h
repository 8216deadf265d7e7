// The options of `pippin serve`.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>

#include "main/command_line.h"
#include "main/engine_options.h"

namespace pippin {

/// Options counted in other units than the structs hold; copied over when parsing has ended.
struct ServeUnits {
  EngineUnits engine;
  std::int64_t max_body_mb = 16;
  std::int64_t bodies_mb = -1;
  std::int64_t max_image_mb = 20;
  std::int64_t max_image_megapixels = 64;
  std::int64_t max_video_mb = 64;
  std::int64_t decoded_cache_mb = 256;
  std::int64_t decoded_mb = -1;
  std::int64_t response_store_mb = 64;
  int drain_s = 30;
  int port = 8000;
  double keep_alive_s = 15;
  bool no_canonical_prompts = false;
  bool no_page = false;
};

CLI::App* add_serve(CLI::App& app, ServeCommand& serve, ServeUnits& units);
void finish_serve(ServeCommand& serve, const ServeUnits& units);

}  // namespace pippin
