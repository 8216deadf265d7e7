#include <cstdlib>
#include <iostream>
#include <optional>
#include <system_error>

#include <spdlog/fmt/fmt.h>

#include "base/files.h"
#include "hub/cache.h"
#include "hub/fit.h"
#include "main/commands.h"
#include "main/model_dir.h"
#include "main/model_source.h"
#include "models/registry.h"
#include "pippin/error.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;

// What a directory holds, as an offer of which nothing is to be fetched.
hub::Offer offer_of(const fs::path& dir, hub::ModelName name) {
  hub::Offer offer{std::move(name), "", read_text(dir / "config.json"), 0, 0};
  for (const auto& entry : fs::directory_iterator(dir))
    if (entry.path().extension() == ".safetensors")
      offer.weight_bytes += static_cast<std::int64_t>(fs::file_size(entry.path()));
  return offer;
}

struct Found {
  hub::Offer offer;
  std::string where;
};

Found find(const InspectCommand& command, const fs::path& program) {
  std::error_code ignored;
  const auto name =
      fs::exists(command.model, ignored) ? std::nullopt : hub::parse_model_name(command.model);
  if (!name) {
    const fs::path dir = find_model(command.model, program);
    return {offer_of(dir, {dir.filename().string()}), dir.string()};
  }
  const hub::Settings settings = hub_settings(command.offline);
  if (const auto dir = hub::find_snapshot(settings.cache, *name))
    return {offer_of(*dir, *name), dir->string()};
  if (settings.offline)
    throw Error(Code::not_found, name->text() + " is not whole in the cache (" +
                                     settings.cache.string() + "), and the hub is not asked");
  hub::Offer offer = hub::look_up(*name, settings, {});
  std::string where =
      settings.endpoint + "/" + name->repo + ", commit " + offer.commit + "; not fetched";
  return {std::move(offer), std::move(where)};
}

bool is_supported(const std::string& model_type) {
  const std::string known = ", " + models::supported_model_types() + ",";
  return !model_type.empty() && known.find(", " + model_type + ",") != std::string::npos;
}

}  // namespace

int inspect(const InspectCommand& command, const fs::path& program) {
  const Found found = find(command, program);
  const hub::Needs needs = hub::read_needs(found.offer.config);
  EngineOptions engine;
  engine.max_context = command.max_context;
  const hub::Fit fit = hub::judge_fit(needs, found.offer.weight_bytes, machine_for(engine));
  const auto line = [](const char* what, const std::string& value) {
    std::cout << fmt::format("{:<14}{}\n", what, value);
  };
  line("model", found.offer.name.text());
  line("where", found.where);
  line("model_type", hub::harmless(needs.model_type) +
                         (is_supported(needs.model_type) ? "" : " (not supported)"));
  line("weights", hub::readable_bytes(found.offer.weight_bytes));
  if (needs.context > 0) line("context", std::to_string(needs.context) + " tokens");
  if (needs.numbers(1) > 0)
    line("cache", hub::readable_bytes(2 * needs.numbers(1)) + " a token, in 16 bits" +
                      (needs.per_window_token > 0 && needs.window > 0
                           ? "; " + hub::readable_bytes(2 * needs.per_token) +
                                 " behind the first " + std::to_string(needs.window)
                           : ""));
  std::cout << fit.text << std::endl;
  return EXIT_SUCCESS;
}

}  // namespace pippin
