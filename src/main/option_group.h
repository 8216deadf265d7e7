// Options of a subcommand under one heading of its help: "Network", or "Network: where it listens" (see main/command_docs.h).
#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace pippin {

inline constexpr std::int64_t no_limit = std::int64_t{1} << 40;

inline constexpr const char* model_help =
    "A model's directory; organization/name or a short name of one that a hub has (see pull); or "
    "demo, the built-in one";

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
  template <class T>
  CLI::Option* choice(const char* name, T& value, std::vector<T> choices, const std::string& help) {
    return add(name, value, "NAME", help)->check(CLI::IsMember(std::move(choices)));
  }
  void flag(const char* name, bool& value, const std::string& help) {
    app_.add_flag(name, value, help)->group(title_);
  }

 private:
  CLI::App& app_;
  const std::string title_;
};

}  // namespace pippin
