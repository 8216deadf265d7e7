#include "hub/settings.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/files.h"
#include "hub/url.h"
#include "pippin/error.h"

namespace pippin::hub {
namespace {

namespace fs = std::filesystem;

constexpr const char* default_endpoint = "https://huggingface.co";

bool is_true(std::string value) {
  std::transform(value.begin(), value.end(), value.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

fs::path home(const Environment& variable) {
  const std::string folder = first_of(variable, {"HOME"});
  return folder.empty() ? fs::temp_directory_path() : fs::path(folder);
}

// A leading ~ and $NAME or ${NAME}, as Python's expanduser and expandvars.
fs::path expanded(const Environment& variable, const std::string& text) {
  std::string path;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i == 0 && text[0] == '~' && (text.size() == 1 || text[1] == '/')) {
      path += home(variable).string();
      continue;
    }
    if (text[i] != '$') {
      path += text[i];
      continue;
    }
    const bool braces = i + 1 < text.size() && text[i + 1] == '{';
    const std::size_t begin = i + (braces ? 2 : 1);
    std::size_t end = begin;
    while (end < text.size() &&
           (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_'))
      ++end;
    path += first_of(variable, {text.substr(begin, end - begin).c_str()});
    i = braces && end < text.size() ? end : end - 1;
  }
  return path;
}

fs::path hf_home(const Environment& variable) {
  if (const auto named = first_of(variable, {"HF_HOME"}); !named.empty())
    return expanded(variable, named);
  const std::string cache = first_of(variable, {"XDG_CACHE_HOME"});
  return (cache.empty() ? home(variable) / ".cache" : expanded(variable, cache)) / "huggingface";
}

fs::path cache_of(const Environment& variable) {
  const std::string named = first_of(variable, {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"});
  const fs::path folder = named.empty() ? hf_home(variable) / "hub" : expanded(variable, named);
  return fs::absolute(folder);
}

std::string without_spaces(std::string text) {
  std::erase_if(text, [](unsigned char c) { return std::isspace(c) != 0; });
  return text;
}

// Control characters would end the header that it stands in.
std::string checked_token(std::string token, const std::string& source) {
  token = without_spaces(std::move(token));
  const auto is_control = [](unsigned char c) { return c < 0x21 || c > 0x7e; };
  if (std::any_of(token.begin(), token.end(), is_control))
    throw Error(Code::invalid_argument, source + " holds characters that no token has");
  return token;
}

std::string token_of(const Environment& variable) {
  if (is_true(first_of(variable, {"HF_HUB_DISABLE_IMPLICIT_TOKEN"}))) return "";
  if (auto token = first_of(variable, {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}); !token.empty())
    return checked_token(std::move(token), "HF_TOKEN");
  const std::string named = first_of(variable, {"HF_TOKEN_PATH"});
  const fs::path file = named.empty() ? hf_home(variable) / "token" : expanded(variable, named);
  std::error_code ignored;
  return fs::is_regular_file(file, ignored) ? checked_token(read_text(file), file.string()) : "";
}

std::string endpoint_of(const Environment& variable) {
  std::string url = first_of(variable, {"HF_ENDPOINT"});
  if (url.empty()) url = default_endpoint;
  while (url.ends_with('/')) url.pop_back();
  if (origin_of(url).empty())
    throw Error(Code::invalid_argument, "HF_ENDPOINT is no URL of http or https: '" + url + "'");
  return url;
}

std::chrono::seconds silence_of(const Environment& variable) {
  const std::string text = first_of(variable, {"HF_HUB_DOWNLOAD_TIMEOUT"});
  if (text.empty()) return Settings().silence;
  int seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || seconds < 1 || seconds > 86400)
    throw Error(Code::invalid_argument,
                "HF_HUB_DOWNLOAD_TIMEOUT is no number of seconds: '" + text + "'");
  return std::chrono::seconds(seconds);
}

}  // namespace

Settings read_settings(const Environment& variable) {
  Settings settings;
  settings.endpoint = endpoint_of(variable);
  settings.cache = cache_of(variable);
  settings.token = token_of(variable);
  settings.offline = is_true(first_of(variable, {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"}));
  settings.silence = silence_of(variable);
  return settings;
}

}  // namespace pippin::hub
