#include <cstdlib>
#include <iostream>

#include "base/log.h"
#include "hub/fit.h"
#include "main/commands.h"
#include "main/model_source.h"
#include "pippin/error.h"

namespace pippin {
namespace {

hub::ModelName name_of(const std::string& model) {
  if (auto name = hub::parse_model_name(model)) return *name;
  throw Error(Code::invalid_argument,
              "'" + model +
                  "' is no name of a model: organization/name, organization/name:QUANTIZATION, or "
                  "one of the short names that "
                  "`pippin pull --help` lists");
}

void say_offer(const hub::Offer& offer, const hub::Settings& settings) {
  const hub::Fit fit = hub::judge_fit(needs_of(offer), offer.weight_bytes, machine_for({}));
  spdlog::log(fit.verdict == hub::Verdict::fits ? spdlog::level::info : spdlog::level::warn,
              "{}: {} to fetch into {}. {}", offer.name.text(),
              hub::readable_bytes(offer.missing_bytes), settings.cache.string(), fit.text);
}

}  // namespace

int pull(const PullCommand& command) {
  const hub::Settings settings = hub_settings(false);
  for (const std::string& model : command.models) {
    const auto on_offer = [&](const hub::Offer& offer) { say_offer(offer, settings); };
    std::cout << pull_shown(name_of(model), settings, on_offer, false).string() << std::endl;
  }
  return EXIT_SUCCESS;
}

}  // namespace pippin
