// pippin ls, pippin rm.
#include <cstdlib>
#include <iostream>

#include <spdlog/fmt/fmt.h>

#include "base/json.h"
#include "base/log.h"
#include "hub/cache.h"
#include "hub/progress.h"
#include "main/commands.h"
#include "main/model_source.h"
#include "pippin/error.h"

namespace pippin {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + hub::harmless(word);
  return text;
}

json::object to_json(const hub::CachedModel& model) {
  json::array revisions;
  for (const std::string& revision : model.revisions) revisions.emplace_back(revision);
  return {{"model", model.repo},
          {"commit", model.commit},
          {"revisions", std::move(revisions)},
          {"bytes", model.bytes},
          {"whole", model.whole}};
}

void print_table(const std::vector<hub::CachedModel>& models) {
  std::size_t width = 5;
  for (const hub::CachedModel& model : models) width = std::max(width, model.repo.size());
  std::cout << fmt::format("{:{}}  {:8}  {:>8}  {}\n", "MODEL", width, "COMMIT", "SIZE",
                           "REVISION");
  for (const hub::CachedModel& model : models)
    std::cout << fmt::format("{:{}}  {:8}  {:>8}  {}{}\n", model.repo, width,
                             model.commit.substr(0, 8), hub::readable_bytes(model.bytes),
                             joined(model.revisions), model.whole ? "" : " (not whole)");
}

void remove(const std::string& model, const hub::Settings& settings) {
  const auto name = hub::parse_model_name(model);
  if (!name) throw Error(Code::invalid_argument, "'" + model + "' is no name of a model");
  if (!name->quantization.empty())
    throw Error(Code::invalid_argument, "'" + model + "' is one file of a model; pippin rm " +
                                            name->repo + " removes all of it");
  const bool has_revision = model.find('@') != std::string::npos;
  const std::int64_t bytes =
      hub::remove_model(settings.cache, name->repo, has_revision ? name->revision : "");
  spdlog::info("removed {}: {} came free", name->text(), hub::readable_bytes(bytes));
}

}  // namespace

int list_models(const ListCommand& command) {
  const auto models = hub::list_models(hub_settings(true).cache);
  if (!command.json) {
    print_table(models);
    return EXIT_SUCCESS;
  }
  json::array list;
  for (const hub::CachedModel& model : models) list.push_back(to_json(model));
  std::cout << json::serialize(list) << std::endl;
  return EXIT_SUCCESS;
}

int remove_models(const RemoveCommand& command) {
  const hub::Settings settings = hub_settings(true);
  for (const std::string& model : command.models) remove(model, settings);
  return EXIT_SUCCESS;
}

}  // namespace pippin
