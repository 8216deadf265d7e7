#include "main/generation_config.h"

#include <string_view>

#include "base/json.h"
#include "base/log.h"
#include "gguf/model_files.h"

namespace pippin {
namespace {

// Sets `value` from the member, where it is there and within [low, high].
template <class T>
void take(const Members& config, std::string_view key, double low, double high, T& value) {
  const auto number = config.number(key);
  if (!number) return;
  if (*number >= low && *number <= high)
    value = static_cast<T>(*number);
  else
    spdlog::warn("generation_config.json: {} of {} is not used", key, *number);
}

}  // namespace

SamplingOptions recommended_sampling(const std::filesystem::path& model_dir) {
  SamplingOptions sampling;
  const auto object = gguf::model_json(model_dir, "generation_config.json");
  if (!object) return sampling;
  const Members config(*object);
  take(config, "temperature", 0, 2, sampling.temperature);
  take(config, "top_p", 1e-6, 1, sampling.top_p);
  take(config, "top_k", 0, 1 << 30, sampling.top_k);
  take(config, "min_p", 0, 1, sampling.min_p);
  if (!config.boolean("do_sample").value_or(true)) sampling.temperature = 0;
  return sampling;
}

}  // namespace pippin
