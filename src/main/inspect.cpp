#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <spdlog/fmt/fmt.h>

#include "gguf/file.h"
#include "gguf/model_files.h"
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

std::int64_t weight_bytes(const fs::path& model) {
  std::int64_t bytes = 0;
  if (gguf::is_gguf(model)) {
    for (const auto& file : gguf::open_all(model))
      bytes += static_cast<std::int64_t>(fs::file_size(file.path()));
    return bytes;
  }
  for (const auto& entry : fs::directory_iterator(model))
    if (entry.path().extension() == ".safetensors")
      bytes += static_cast<std::int64_t>(fs::file_size(entry.path()));
  return bytes;
}

// What a directory or a GGUF file holds, as an offer of which nothing is to be fetched.
hub::Offer offer_of(const fs::path& model, hub::ModelName name) {
  const auto config = gguf::model_file(model, "config.json");
  return {std::move(name), "", config.value_or(""), weight_bytes(model), 0};
}

// The formats of a file's tensors, those of the most bytes first.
std::string formats_of(const fs::path& model) {
  std::map<std::string, std::size_t> bytes;
  for (const auto& file : gguf::open_all(model))
    for (const auto& tensor : file.tensors()) bytes[tensor.format->name] += tensor.bytes;
  std::vector<std::pair<std::size_t, std::string>> sorted;
  for (const auto& [name, size] : bytes) sorted.emplace_back(size, name);
  std::sort(sorted.rbegin(), sorted.rend());
  std::string text;
  for (const auto& [size, name] : sorted)
    text += (text.empty() ? "" : ", ") + name + " " +
            hub::readable_bytes(static_cast<std::int64_t>(size));
  return text;
}

struct Found {
  hub::Offer offer;
  std::string where;
  fs::path path;  ///< empty where it is not on this machine
};

Found find(const InspectCommand& command, const fs::path& program) {
  std::error_code ignored;
  const auto name =
      fs::exists(command.model, ignored) ? std::nullopt : hub::parse_model_name(command.model);
  if (!name) {
    const fs::path dir = find_model(command.model, program);
    return {offer_of(dir, {dir.filename().string()}), dir.string(), dir};
  }
  const hub::Settings settings = hub_settings(command.offline);
  if (const auto dir = hub::find_snapshot(settings.cache, *name))
    return {offer_of(*dir, *name), dir->string(), *dir};
  if (settings.offline)
    throw Error(Code::not_found, name->text() + " is not whole in the cache (" +
                                     settings.cache.string() + "), and the hub is not asked");
  hub::Offer offer = hub::look_up(*name, settings, {});
  std::string where =
      settings.endpoint + "/" + name->repo + ", commit " + offer.commit + "; not fetched";
  return {std::move(offer), std::move(where), {}};
}

bool is_supported(const std::string& model_type) {
  const std::string known = ", " + models::supported_model_types() + ",";
  return !model_type.empty() && known.find(", " + model_type + ",") != std::string::npos;
}

}  // namespace

int inspect(const InspectCommand& command, const fs::path& program) {
  const Found found = find(command, program);
  const hub::Needs needs = needs_of(found.offer);
  EngineOptions engine;
  engine.max_context = command.max_context;
  const hub::Fit fit = hub::judge_fit(needs, found.offer.weight_bytes, machine_for(engine));
  const auto line = [](const char* what, const std::string& value) {
    std::cout << fmt::format("{:<14}{}\n", what, value);
  };
  line("model", found.offer.name.text());
  line("where", found.where);
  if (!needs.model_type.empty())
    line("model_type", hub::harmless(needs.model_type) +
                           (is_supported(needs.model_type) ? "" : " (not supported)"));
  if (gguf::is_gguf(found.path)) line("formats", formats_of(found.path));
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
