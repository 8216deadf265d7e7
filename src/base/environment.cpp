#include "base/environment.h"

#include <cstdlib>

namespace pippin {

std::optional<std::string> environment_variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? std::optional<std::string>(value) : std::nullopt;
}

std::string first_of(const Environment& variable, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (auto value = variable(name); value && !value->empty()) return *value;
  return "";
}

std::filesystem::path user_folder(const Environment& variable, const char* name,
                                  const std::filesystem::path& below) {
  if (auto named = first_of(variable, {name}); !named.empty()) return named;
  const auto home = first_of(variable, {"HOME"});
  return home.empty() ? std::filesystem::path() : std::filesystem::path(home) / below;
}

}  // namespace pippin
