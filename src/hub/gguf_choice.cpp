#include "hub/gguf_choice.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <regex>

#include "pippin/error.h"

namespace pippin::hub {
namespace {

constexpr std::string_view suffix = ".gguf";
constexpr const char* usual = "q4_k_m";

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string_view file_name(std::string_view path) {
  return path.substr(path.find_last_of('/') + 1);  // npos + 1 is 0
}

/// A model by its path without the part's number: NAME-00002-of-00003.gguf.
struct Part {
  std::string model;
  int number = 1, count = 1;
};

Part part_of(const std::string& path) {
  static const std::regex numbered(R"((.*)-(\d{5})-of-(\d{5})\.gguf)");
  std::smatch match;
  if (!std::regex_match(path, match, numbered))
    return {path.substr(0, path.size() - suffix.size())};
  return {match[1], std::stoi(match[2]), std::stoi(match[3])};
}

/// The parts of each model in order, by its path.
using Models = std::map<std::string, std::map<int, std::string>>;

// Whether the file's name, in lower case, holds the word.
bool has_word(const std::string& name, const std::string& word) {
  const auto is_end = [&](std::size_t at) {
    return at >= name.size() || std::isalnum(static_cast<unsigned char>(name[at])) == 0;
  };
  for (auto at = name.find(word); at != std::string::npos; at = name.find(word, at + 1))
    if ((at == 0 || is_end(at - 1)) && is_end(at + word.size()) &&
        name.substr(at + word.size(), 1) != "_")
      return true;
  return false;
}

// The shortest name that has the word: "UD-Q4_K_XL" has Q4_K_XL, too.
std::optional<std::string> find_model(const Models& models, const std::string& quantization) {
  std::optional<std::string> found;
  for (const auto& [model, parts] : models)
    if (has_word(lower(file_name(model)), quantization) && (!found || model.size() < found->size()))
      found = model;
  return found;
}

// What a user would write for a model: its quantization, as file names have it.
std::string quantization_of(const std::string& model) {
  static const std::regex usual_names(
      R"((?:^|[-._/])((?:UD-)?(?:I?Q\d\w*|TQ\d_\d|MXFP4\w*|NVFP4|BF16|F16|F32))(?=[-.]|$))",
      std::regex::icase);
  const std::string name(file_name(model));
  std::string last = name;
  for (auto it = std::sregex_iterator(name.begin(), name.end(), usual_names);
       it != std::sregex_iterator(); ++it)
    last = (*it)[1];
  return last;
}

[[noreturn]] void refuse(const Models& models, const std::string& quantization,
                         const std::string& repo) {
  std::string known;
  for (const auto& [model, parts] : models)
    known += (known.empty() ? "" : ", ") + quantization_of(model);
  throw Error(Code::invalid_argument,
              models.empty() ? repo + " has no GGUF file"
                             : repo + " has no GGUF file '" + quantization + "'; it has: " + known);
}

}  // namespace

bool is_gguf_model(std::string_view path) {
  const auto name = lower(file_name(path));
  return name.ends_with(suffix) && name.size() > suffix.size() && !name.starts_with("mmproj") &&
         name.find("imatrix") == std::string::npos;
}

std::vector<std::string> choose_gguf(const std::vector<std::string>& paths,
                                     const std::string& quantization, const std::string& repo) {
  Models models;
  std::map<std::string, int> counts;
  for (const auto& path : paths) {
    if (!is_gguf_model(path)) continue;
    const Part part = part_of(path);
    models[part.model][part.number] = path;
    counts[part.model] = part.count;
  }
  auto chosen = find_model(models, lower(quantization.empty() ? usual : quantization));
  if (!chosen && quantization.empty() && !models.empty()) chosen = models.begin()->first;
  if (!chosen) refuse(models, quantization, repo);
  std::vector<std::string> files;
  for (int number = 1; number <= counts[*chosen]; ++number) {
    const auto part = models[*chosen].find(number);
    if (part == models[*chosen].end())
      throw Error(Code::invalid_argument, repo + " lacks part " + std::to_string(number) + " of " +
                                              std::to_string(counts[*chosen]) + " of " + *chosen +
                                              ".gguf");
    files.push_back(part->second);
  }
  return files;
}

}  // namespace pippin::hub
