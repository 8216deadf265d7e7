#include "hub/plan.h"

#include <algorithm>
#include <set>

#include "base/json.h"
#include "hub/gguf_choice.h"
#include "vocabulary/model_tokenizer.h"

namespace pippin::hub {
namespace {

constexpr const char* single_weights = "model.safetensors";
constexpr std::string_view weight_suffix = ".safetensors";

// At a repository's root. A model lacks most of them.
constexpr std::string_view small_files[] = {
    "added_tokens.json",     "chat_template.jinja",      "chat_template.json",
    "config.json",           "generation_config.json",   index_name,
    "processor_config.json", "preprocessor_config.json", "tokenizer.json",
    "tokenizer_config.json", "special_tokens_map.json",  "video_preprocessor_config.json",
};
constexpr std::string_view template_folder = "additional_chat_templates/";

template <class Names>
bool is_in(const Names& names, std::string_view path) {
  return std::find(std::begin(names), std::end(names), path) != std::end(names);
}

bool is_template(std::string_view path) {
  return path.starts_with(template_folder) && path.ends_with(".jinja") &&
         path.find('/', template_folder.size()) == std::string_view::npos;
}

bool is_weights(std::string_view path) {
  return path.ends_with(weight_suffix) && path.find('/') == std::string_view::npos;
}

bool has(const std::vector<RemoteFile>& files, std::string_view path) {
  return std::any_of(files.begin(), files.end(),
                     [&](const RemoteFile& file) { return file.path == path; });
}

std::int64_t sum(const std::vector<RemoteFile>& files) {
  std::int64_t bytes = 0;
  for (const RemoteFile& file : files) bytes += file.size;
  return bytes;
}

[[noreturn]] void refuse(const std::string& why) { throw Error(Code::invalid_argument, why); }

void check_paths(const std::vector<RemoteFile>& files, const std::string& repo) {
  std::set<std::string_view> seen;
  for (const RemoteFile& file : files)
    if (!is_safe_path(file.path) || !seen.insert(file.path).second)
      refuse(repo + " lists a file that can't be kept: '" + harmless(file.path) + "'");
}

void check_whole(const Plan& plan, const std::vector<RemoteFile>& files, const std::string& repo) {
  if (plan.gguf) return;
  if (!has(plan.small, "config.json"))
    refuse(repo + " holds no model that Pippin can run: it has no config.json");
  if (!plan.weights.empty()) return;
  const auto ends_so = [&](std::string_view suffix) {
    return std::any_of(files.begin(), files.end(),
                       [&](const RemoteFile& file) { return file.path.ends_with(suffix); });
  };
  refuse(repo + " has neither *.safetensors nor *.gguf" +
         (ends_so(".bin") ? "; Pippin does not read *.bin (pickle)" : ""));
}

bool wants_gguf(const std::vector<RemoteFile>& files) {
  const auto any = [&](auto&& is) {
    return std::any_of(files.begin(), files.end(),
                       [&](const RemoteFile& file) { return is(file.path); });
  };
  return any(is_gguf_model) && !any(is_weights);
}

Plan plan_gguf(const std::vector<RemoteFile>& files, const std::string& repo,
               const std::string& quantization) {
  Plan plan;
  plan.gguf = true;
  std::vector<std::string> paths;
  for (const RemoteFile& file : files) {
    if (file.path == "config.json")
      plan.small.push_back(file);  // says what the model is before the weights come
    if (is_gguf_model(file.path)) paths.push_back(file.path);
  }
  for (const auto& path : choose_gguf(paths, quantization, repo))
    plan.weights.push_back(*std::find_if(
        files.begin(), files.end(), [&](const RemoteFile& file) { return file.path == path; }));
  check_paths(plan.small, repo);
  check_paths(plan.weights, repo);
  return plan;
}

}  // namespace

std::int64_t Plan::weight_bytes() const { return sum(weights); }
std::int64_t Plan::bytes() const { return sum(small) + sum(weights); }

bool is_safe_path(std::string_view path) {
  if (path.empty() || path.size() > 512 || path.ends_with('/')) return false;
  for (const char c : path)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '\\') return false;
  while (true) {
    const auto slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == ".." || part.size() > 200) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

Plan plan_files(const std::vector<RemoteFile>& files, const std::string& repo,
                const std::string& quantization) {
  if (!quantization.empty() || wants_gguf(files)) return plan_gguf(files, repo, quantization);
  Plan plan;
  const bool has_tokenizer = has(files, "tokenizer.json"), has_index = has(files, index_name);
  for (const RemoteFile& file : files) {
    if (is_in(small_files, file.path) || is_template(file.path) ||
        (!has_tokenizer && vocabulary::is_tokenizer_file(file.path)))
      plan.small.push_back(file);
    else if (is_weights(file.path))
      plan.weights.push_back(file);
  }
  if (!has_index && has(plan.weights, single_weights))
    std::erase_if(plan.weights, [](const RemoteFile& file) { return file.path != single_weights; });
  check_whole(plan, files, repo);
  check_paths(plan.small, repo);
  check_paths(plan.weights, repo);
  return plan;
}

std::vector<std::string> indexed_files(const std::string& index) {
  const json::value value = parse_json(index, index_name);
  if (!value.is_object()) refuse(std::string(index_name) + " is no object");
  const auto* map = Members(value.get_object()).object("weight_map");
  if (!map) refuse(std::string(index_name) + " has no weight_map");
  std::set<std::string> names;
  for (const auto& [tensor, file] : *map) {
    if (!file.is_string()) refuse("weight_map of '" + harmless(tensor) + "' is not a file name");
    names.emplace(file.get_string());
  }
  return {names.begin(), names.end()};
}

void keep_indexed(Plan& plan, const std::string& index) {
  const std::vector<std::string> names = indexed_files(index);
  for (const std::string& name : names)
    if (!has(plan.weights, name))
      refuse(std::string(index_name) + " names a file that the repository lacks: '" +
             harmless(name) + "'");
  std::erase_if(plan.weights, [&](const RemoteFile& file) { return !is_in(names, file.path); });
}

}  // namespace pippin::hub
