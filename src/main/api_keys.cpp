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

std::vector<std::string> keys_of_file(const std::filesystem::path& file,
                                      const std::string& option) {
  std::ifstream in(file);
  std::vector<std::string> keys;
  for (std::string line; std::getline(in, line);)
    if (line = trimmed(line); !line.empty() && line.front() != '#') keys.push_back(line);
  if (keys.empty())
    throw Error(Code::invalid_argument, "'" + file.string() + "' holds no API key",
                option + "-file");
  return keys;
}

std::vector<std::string> keys_of_environment() {
  std::vector<std::string> keys;
  const char* list = std::getenv(variable);
  if (!list) return keys;
  std::istringstream in(list);
  for (std::string key; std::getline(in, key, ',');)
    if (key = trimmed(key); !key.empty()) keys.push_back(key);
  if (keys.empty())
    throw Error(Code::invalid_argument,
                std::string("the variable ") + variable + " is set, but holds no API key",
                "api-key");
  return keys;
}

// A header carries printable characters; a space would end the key.
bool usable(const std::string& key) {
  return !key.empty() &&
         std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c <= '~'; });
}

void check_usable(const std::vector<std::string>& keys, const std::string& option) {
  if (!std::all_of(keys.begin(), keys.end(), usable))
    throw Error(Code::invalid_argument,
                "API keys must be of printable ASCII characters without spaces", option);
}

void append(std::vector<std::string>& keys, const std::vector<std::string>& more) {
  keys.insert(keys.end(), more.begin(), more.end());
}

}  // namespace

std::vector<std::string> collect_api_keys(std::vector<std::string> keys,
                                          const std::filesystem::path& file) {
  if (!file.empty()) append(keys, keys_of_file(file, "api-key"));
  append(keys, keys_of_environment());
  check_usable(keys, "api-key");
  return keys;
}

std::vector<std::string> collect_admin_keys(std::vector<std::string> keys,
                                            const std::filesystem::path& file) {
  if (!file.empty()) append(keys, keys_of_file(file, "admin-key"));
  check_usable(keys, "admin-key");
  return keys;
}

}  // namespace pippin
