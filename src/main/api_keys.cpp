#include "main/api_keys.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "pippin/error.h"

namespace pippin {
namespace {

constexpr const char* variable = "PIPPIN_API_KEYS";

std::string trimmed(const std::string& text) {
  constexpr const char* space = " \t\r\n";
  const auto begin = text.find_first_not_of(space);
  return begin == std::string::npos ? ""
                                    : text.substr(begin, text.find_last_not_of(space) + 1 - begin);
}

std::vector<std::string> keys_of_file(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::vector<std::string> keys;
  for (std::string line; std::getline(in, line);)
    if (line = trimmed(line); !line.empty() && line.front() != '#') keys.push_back(line);
  if (keys.empty())
    throw Error(Code::invalid_argument, "'" + file.string() + "' holds no API key", "api-key-file");
  return keys;
}

std::vector<std::string> keys_of_environment() {
  std::vector<std::string> keys;
  const char* list = std::getenv(variable);
  std::istringstream in(list ? list : "");
  for (std::string key; std::getline(in, key, ',');)
    if (key = trimmed(key); !key.empty()) keys.push_back(key);
  return keys;
}

// Of printable characters without spaces, as a header can carry it.
bool usable(const std::string& key) {
  return !key.empty() &&
         std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace

std::vector<std::string> collect_api_keys(std::vector<std::string> keys,
                                          const std::filesystem::path& file) {
  const auto append = [&](const std::vector<std::string>& more) {
    keys.insert(keys.end(), more.begin(), more.end());
  };
  if (!file.empty()) append(keys_of_file(file));
  append(keys_of_environment());
  if (!std::all_of(keys.begin(), keys.end(), usable))
    throw Error(Code::invalid_argument,
                "API keys must be of printable ASCII characters without spaces", "api-key");
  return keys;
}

}  // namespace pippin
