#include "models/convert.h"

#include <mlx/mlx.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "gguf/model_files.h"
#include "models/mlx_names.h"
#include "nn/checkpoint.h"
#include "nn/open_tensors.h"
#include "nn/safetensors_writer.h"
#include "pippin/error.h"

namespace pippin::models {
namespace {

namespace fs = std::filesystem;
namespace mx = mlx::core;
using nn::Quantization;

[[noreturn]] void throw_invalid(const std::string& what) {
  throw Error(Code::invalid_argument, "[convert] " + what);
}

struct Recipe {
  const char* name;
  int low, high;
};
constexpr Recipe recipes[] = {
    {"mixed_2_6", 2, 6}, {"mixed_3_4", 3, 4}, {"mixed_3_6", 3, 6}, {"mixed_4_6", 4, 6}};

std::string known_recipes() {
  std::string names;
  for (const auto& recipe : recipes)
    names += (names.empty() ? "" : ", ") + std::string(recipe.name);
  return names;
}

const Recipe& recipe_of(const std::string& name) {
  for (const auto& recipe : recipes)
    if (name == recipe.name) return recipe;
  throw_invalid("recipe '" + name + "' is not known; known are: " + known_recipes());
}

// The number of a module's layer, "model.layers.7.mlp.up_proj"; 0 outside of layers.
int layer_of(const std::string& module) {
  static constexpr std::string_view prefix = "model.layers.";
  int layer = 0;
  if (module.starts_with(prefix))
    std::from_chars(module.data() + prefix.size(), module.data() + module.size(), layer);
  return layer;
}

/// How each module is quantized, and what config.json says of it.
class Choice {
 public:
  Choice(std::string recipe, const std::optional<Quantization>& quantization, const MlxNames& names,
         int num_layers)
      : recipe_(std::move(recipe)),
        quantization_(quantization),
        names_(names),
        num_layers_(num_layers) {}

  /// Absent: it stays plain. `inputs`: its row's length.
  std::optional<Quantization> of(const std::string& module, int inputs) {
    if (!quantization_ || inputs % quantization_->group_size != 0) return {};
    if (!names_.plain.empty() && module.ends_with(names_.plain)) return {};
    auto q = *quantization_;
    if (!recipe_.empty()) {
      q.bits = by_recipe(module);
      return said(module, q, true);
    }
    if (!names_.router.empty() && module.ends_with(names_.router))
      return said(module, {64, 8, kernels::Scheme::affine}, false);
    return q;
  }

  /// The config's "quantization".
  json::object description() const {
    const auto& q = *quantization_;
    json::object all{
        {"group_size", q.group_size}, {"bits", q.bits}, {"mode", kernels::name_of(q.scheme)}};
    for (const auto& [module, said] : said_) all[module] = said;
    return all;
  }

 private:
  Quantization said(const std::string& module, const Quantization& q, bool with_mode) {
    json::object entry{{"group_size", q.group_size}, {"bits", q.bits}};
    if (with_mode) entry["mode"] = "affine";
    said_[module] = std::move(entry);
    return q;
  }

  int by_recipe(const std::string& module) const {
    const auto& recipe = recipe_of(recipe_);
    const int layer = layer_of(module), eighth = num_layers_ / 8;
    const bool more = layer < eighth || layer >= 7 * num_layers_ / 8 || (layer - eighth) % 3 == 2;
    const auto in = [&](const char* part) { return module.find(part) != std::string::npos; };
    return in("lm_head") || (more && (in("v_proj") || in("down_proj"))) ? recipe.high : recipe.low;
  }

  std::string recipe_;
  std::optional<Quantization> quantization_;
  const MlxNames& names_;
  int num_layers_;
  std::map<std::string, json::object> said_;
};

/// A tensor of the result: its sources (several are stacked) and what becomes of them.
struct Output {
  std::string name;
  std::vector<std::pair<const nn::TensorFile*, std::string>> sources;
  mx::Shape shape;  ///< before quantization
  mx::Dtype dtype = mx::float32;
  std::optional<Quantization> quantization = {};
  std::vector<nn::TensorPlan> plans = {};

  std::size_t bytes() const {
    std::size_t all = 0;
    for (const auto& plan : plans) all += plan.bytes();
    return all;
  }
  std::int64_t values() const {
    std::int64_t n = 1;
    for (const int size : shape) n *= size;
    return n;
  }
};

std::vector<nn::TensorPlan> plans_of(const Output& output) {
  if (!output.quantization) return {{output.name, output.dtype, output.shape}};
  const auto& q = *output.quantization;
  auto words = output.shape, groups = output.shape;
  words.back() = words.back() * q.bits / 32;
  groups.back() /= q.group_size;
  const auto module = output.name.substr(0, output.name.rfind('.'));
  const bool affine = q.scheme == kernels::Scheme::affine;
  std::vector<nn::TensorPlan> plans{
      {output.name, mx::uint32, words},
      {module + ".scales", affine ? output.dtype : mx::uint8, groups}};
  if (affine) plans.push_back({module + ".biases", output.dtype, groups});
  return plans;
}

// The result's tensors by name. Experts' matrices are sources of one.
std::map<std::string, Output> gather(const nn::TensorFiles& files, const MlxNames& names) {
  std::map<std::string, std::map<int, std::pair<const nn::TensorFile*, std::string>>> sources;
  for (const auto& file : files)
    for (const auto& name : file->names()) {
      if (file->dtype(name) == mx::uint32 || file->dtype(name) == mx::uint8)
        throw_invalid("tensor '" + name + "' is quantized already");
      const auto place = names.place(name);
      if (place.name.empty()) continue;
      if (!sources[place.name].emplace(place.expert, std::pair(file.get(), name)).second)
        throw_invalid("tensor '" + name + "' occurs twice");
    }
  std::map<std::string, Output> outputs;
  for (const auto& [name, parts] : sources) {
    Output output{name, {}, {}};
    for (const auto& [expert, source] : parts) {
      if (expert >= 0 && expert != static_cast<int>(output.sources.size()))
        throw_invalid("an expert is missing before tensor '" + source.second + "'");
      output.sources.push_back(source);
    }
    const auto& [file, first] = output.sources.front();
    output.shape = file->shape(first);
    output.dtype = file->dtype(first);
    if (parts.begin()->first >= 0)
      output.shape.insert(output.shape.begin(), static_cast<int>(parts.size()));
    outputs.emplace(name, std::move(output));
  }
  return outputs;
}

void plan(std::map<std::string, Output>& outputs, Choice& choice, std::optional<mx::Dtype> dtype) {
  for (auto& [name, output] : outputs) {
    if (dtype && mx::issubdtype(output.dtype, mx::floating)) output.dtype = *dtype;
    if (name.ends_with(".weight") && output.shape.size() >= 2)
      output.quantization = choice.of(name.substr(0, name.rfind('.')), output.shape.back());
    output.plans = plans_of(output);
  }
}

void write(const Output& output, nn::SafetensorsWriter& writer) {
  for (const auto& [file, name] : output.sources) {
    auto x = file->tensor(name);
    if (x.size() != static_cast<std::size_t>(output.values()) / output.sources.size())
      throw_invalid("tensor '" + name + "' has another shape than its like");
    x = mx::astype(x, output.dtype);
    if (!output.quantization) {
      writer.append(output.name, x);
      continue;
    }
    const auto& q = *output.quantization;
    const auto parts = mx::quantize(x, q.group_size, q.bits, kernels::name_of(q.scheme));
    for (std::size_t i = 0; i < output.plans.size(); ++i)
      writer.append(output.plans[i].name, parts[i]);
  }
}

std::string shard_name(std::size_t index, std::size_t count) {
  if (count == 1) return "model.safetensors";
  const auto digits = [](std::size_t n) {
    const auto text = std::to_string(n);
    return std::string(text.size() < 5 ? 5 - text.size() : 0, '0') + text;
  };
  return "model-" + digits(index + 1) + "-of-" + digits(count) + ".safetensors";
}

using Shards = std::vector<std::vector<const Output*>>;

Shards cut(const std::map<std::string, Output>& outputs, std::size_t file_bytes) {
  Shards shards;
  std::size_t size = 0;
  for (const auto& [name, output] : outputs) {
    if (shards.empty() || size + output.bytes() > file_bytes) {
      shards.emplace_back();
      size = 0;
    }
    shards.back().push_back(&output);
    size += output.bytes();
  }
  return shards;
}

// mlx-lm's number of parameters leaves out what a module with modules of its own holds.
bool is_counted(const std::map<std::string, Output>& outputs, const std::string& name) {
  const auto module = name.substr(0, name.rfind('.') + 1);
  for (auto it = outputs.lower_bound(module); it != outputs.end() && it->first.starts_with(module);
       ++it)
    if (it->first.find('.', module.size()) != std::string::npos) return false;
  return true;
}

void write_weights(const std::map<std::string, Output>& outputs, const fs::path& folder,
                   const ConvertOptions& options) {
  const auto shards = cut(outputs, options.file_bytes);
  std::size_t done = 0, total = 0;
  std::int64_t values = 0;
  for (const auto& [name, output] : outputs) {
    total += output.bytes();
    if (is_counted(outputs, name)) values += output.values();
  }
  std::map<std::string, std::string> files;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    std::vector<nn::TensorPlan> plans;
    for (const auto* output : shards[i])
      plans.insert(plans.end(), output->plans.begin(), output->plans.end());
    const auto file = shard_name(i, shards.size());
    nn::SafetensorsWriter writer(folder / file, plans);
    for (const auto* output : shards[i]) {
      write(*output, writer);
      mx::clear_cache();
      done += output->bytes();
      if (options.progress)
        options.progress(static_cast<double>(done) / static_cast<double>(total));
    }
    writer.finish();
    for (const auto& tensor : plans) files[tensor.name] = file;
  }
  json::object map;
  for (const auto& [name, file] : files) map[name] = file;
  const json::object index{{"metadata", {{"total_size", total}, {"total_parameters", values}}},
                           {"weight_map", map}};
  write_file(folder / "model.safetensors.index.json", json::serialize(index) + "\n");
}

// As mlx-lm leaves it: sorted, with the quantization under both of its names.
void write_config(json::object config, const fs::path& source,
                  const std::optional<json::object>& quantization, const fs::path& folder) {
  for (const char* unused : {"_name_or_path", "vision_config"}) config.erase(unused);
  if (const auto generation = gguf::model_json(source, "generation_config.json"))
    if (const auto* ends = generation->if_contains("eos_token_id"); ends && !ends->is_null())
      config["eos_token_id"] = *ends;
  if (quantization) config["quantization"] = config["quantization_config"] = *quantization;
  std::map<std::string, json::value> sorted;
  for (const auto& [key, value] : config) sorted[std::string(key)] = value;
  json::object ordered;
  for (const auto& [key, value] : sorted) ordered[key] = value;
  write_file(folder / "config.json", json::serialize(ordered) + "\n");
}

void copy_rest(const fs::path& source, const fs::path& folder) {
  static constexpr const char* names[] = {"tokenizer.json",
                                          "tokenizer_config.json",
                                          "special_tokens_map.json",
                                          "added_tokens.json",
                                          "vocab.json",
                                          "merges.txt",
                                          "tokenizer.model",
                                          "chat_template.jinja",
                                          "chat_template.json",
                                          "generation_config.json"};
  for (const char* name : names)
    if (const auto text = gguf::model_file(source, name)) write_file(folder / name, *text);
  if (fs::is_directory(source / "additional_chat_templates"))
    fs::copy(source / "additional_chat_templates", folder / "additional_chat_templates");
}

std::optional<mx::Dtype> dtype_of(const std::string& name) {
  if (name == "float16") return mx::float16;
  if (name == "bfloat16") return mx::bfloat16;
  if (name == "float32") return mx::float32;
  return {};
}

std::optional<Quantization> quantization_of(const ConvertOptions& options) {
  if (!options.quantize) return {};
  json::object asked{{"mode", options.mode}};
  if (options.bits) asked["bits"] = options.bits;
  if (options.group_size) asked["group_size"] = options.group_size;
  if (options.mode == "affine") asked.emplace("bits", 4);
  if (!options.recipe.empty() && options.mode != "affine")
    throw_invalid("a recipe is for the mode affine alone");
  if (!options.recipe.empty()) recipe_of(options.recipe);
  const auto q = nn::QuantizationConfig::from_json({{"quantization", asked}}).defaults;
  if (q->group_size == 16 && q->scheme == kernels::Scheme::affine)
    throw_invalid("MLX has no affine groups of 16");
  return q;
}

// What is asked for, else what the config says.
std::optional<mx::Dtype> dtype_for(const ConvertOptions& options, const json::object& config) {
  if (options.dtype.empty()) return dtype_of(Members(config).string("torch_dtype").value_or(""));
  const auto dtype = dtype_of(options.dtype);
  if (!dtype)
    throw_invalid("dtype '" + options.dtype + "' is none of float32, float16 and bfloat16");
  return dtype;
}

json::object plain_config(const fs::path& source) {
  auto config = gguf::model_json(source, "config.json");
  if (!config)
    throw Error(Code::not_found, "[convert] '" + source.string() + "' has no config.json");
  if (config->contains("quantization") || config->contains("quantization_config"))
    throw_invalid("'" + source.string() + "' is quantized already");
  return std::move(*config);
}

}  // namespace

void convert(const fs::path& source, const fs::path& destination, const ConvertOptions& options) {
  if (fs::exists(destination)) throw_invalid("'" + destination.string() + "' exists already");
  const auto quantization = quantization_of(options);
  auto config = plain_config(source);
  const auto names = mlx_names(config);
  Choice choice(options.recipe, quantization, names,
                static_cast<int>(Members(config).required_integer("num_hidden_layers")));
  const auto files = nn::open_tensors(source, {}, false);
  auto outputs = gather(files, names);
  plan(outputs, choice, dtype_for(options, config));
  auto partial = destination;
  partial += ".partial";
  fs::create_directories(partial);
  try {
    write_weights(outputs, partial, options);
    write_config(std::move(config), source,
                 quantization ? std::optional(choice.description()) : std::nullopt, partial);
    copy_rest(source, partial);
    fs::rename(partial, destination);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    throw;
  }
}

}  // namespace pippin::models
