// What help, manual page and completions say of the commands: read from the parser that CLI11 runs, so that there is one source.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace pippin {

struct OptionDoc {
  std::vector<std::string> names;  ///< "--help", "-h"; of a positional its name alone
  std::string value;  ///< what it takes: N, NAME, FILE ...; empty for a flag or positional
  std::string text;
  std::vector<std::string> choices;  ///< the only values; empty where there are others
  bool positional = false;
  bool required = false;

  /// "-h, --help GROUP"
  std::string usage() const;
};

/// Options under one heading.
struct GroupDoc {
  std::string title;    ///< "Network"
  std::string summary;  ///< may be empty
  std::vector<OptionDoc> options;

  /// By which --help asks for it: "network".
  std::string key() const;
};

/// What a command's documents say beside its options, such as examples.
struct SectionDoc {
  std::string title;  ///< "Short names"
  std::string text;   ///< lines, each with its break

  /// By which --help asks for it: "names".
  std::string key() const;
};

struct CommandDoc {
  std::string name;  ///< "pippin serve"
  std::string summary;
  std::vector<OptionDoc> positionals;
  /// The first one has no heading: what a command's overview shows. The others are in the order of their declaration, those that the
  /// program has for all commands last.
  std::vector<GroupDoc> groups;
  std::vector<SectionDoc> sections;
  std::vector<CommandDoc> commands;

  const CommandDoc* find(std::string_view command) const;
  /// "pippin serve [MODEL] [OPTIONS]"
  std::string usage() const;
};

/// A program or one of its commands. Of its footer, each line without spaces before it and with a colon at its end begins a section.
CommandDoc describe(const CLI::App& app);

/// The words of `text` in lines of at most `width` characters. Breaks that are there stay, and spaces at the start of a line.
std::vector<std::string> wrapped(std::string_view text, std::size_t width);

}  // namespace pippin
