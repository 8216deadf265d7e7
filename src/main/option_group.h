// Options of a subcommand under one heading of its help.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <utility>

namespace pippin {

inline constexpr const char* model_help =
    "Directory of a Hugging Face or MLX model; organization/name or a short name of one that a hub "
    "has (see pull); or 'demo' "
    "for the built-in one";

class OptionGroup {
 public:
  OptionGroup(CLI::App& app, std::string title) : app_(app), title_(std::move(title)) {}

  template <class T>
  CLI::Option* add(const char* name, T& value, const char* type, const std::string& help) {
    return app_.add_option(name, value, help)->type_name(type)->group(title_);
  }
  template <class T, class Bound>
  CLI::Option* number(const char* name, T& value, Bound low, Bound high, const std::string& help) {
    return add(name, value, "N", help)->check(CLI::Range(low, high).description(""));
  }
  void flag(const char* name, bool& value, const std::string& help) {
    app_.add_flag(name, value, help)->group(title_);
  }

 private:
  CLI::App& app_;
  const std::string title_;
};

}  // namespace pippin
