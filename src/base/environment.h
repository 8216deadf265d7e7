// Variables of the environment.
#pragma once

#include <filesystem>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>

namespace pippin {

/// The value of a variable; nullopt where it is not set.
using Environment = std::function<std::optional<std::string>(const char* name)>;

/// The process's own.
std::optional<std::string> environment_variable(const char* name);

/// The first of the variables that is set and not empty; empty where none is.
std::string first_of(const Environment& variable, std::initializer_list<const char*> names);

/// The folder that a variable names, else `below` the user's home; empty where the home is not known either.
std::filesystem::path user_folder(const Environment& variable, const char* name,
                                  const std::filesystem::path& below);

}  // namespace pippin
