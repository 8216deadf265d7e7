#include "main/command_docs.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>
#include <sstream>

namespace pippin {
namespace {

constexpr const char* general = "Options";  // CLI11's name of the group that no other holds

// "NAME:{cpu,gpu}" of CLI11: what it is called and what it can be.
void read_type(std::string type, OptionDoc& doc) {
  const auto brace = type.find(":{");
  if (brace != std::string::npos && type.ends_with('}')) {
    std::istringstream list(type.substr(brace + 2, type.size() - brace - 3));
    for (std::string choice; std::getline(list, choice, ',');) doc.choices.push_back(choice);
    type.resize(brace);
  }
  doc.value = type;
}

OptionDoc describe(const CLI::Option& option) {
  OptionDoc doc;
  doc.positional = !option.nonpositional();
  doc.required = option.get_required();
  doc.text = option.get_description();
  if (doc.positional) {
    doc.names = {option.get_name(true)};
    read_type(option.get_type_name(), doc);
    doc.value.clear();
    return doc;
  }
  for (const std::string& name : option.get_snames()) doc.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) doc.names.push_back("--" + name);
  if (option.get_items_expected_max() > 0) read_type(option.get_type_name(), doc);
  return doc;
}

std::string trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? "" : text.substr(begin);
}

// "Network: where it listens"
GroupDoc group_of(const std::string& text) {
  const auto colon = text.find(':');
  if (colon == std::string::npos) return {text == general ? "" : text, "", {}};
  return {text.substr(0, colon), trimmed(text.substr(colon + 1)), {}};
}

GroupDoc& find_or_add(std::vector<GroupDoc>& groups, const std::string& text) {
  GroupDoc wanted = group_of(text);
  for (GroupDoc& group : groups)
    if (group.title == wanted.title) return group;
  groups.push_back(std::move(wanted));
  return groups.back();
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::vector<SectionDoc> sections_of(const std::string& footer) {
  std::vector<SectionDoc> sections;
  std::istringstream lines(footer);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(' ') && line.ends_with(':'))
      sections.push_back({line.substr(0, line.size() - 1), ""});
    else if (!line.empty() && !sections.empty())
      sections.back().text += line + "\n";
  }
  return sections;
}

// Options of the program are options of each command, too: CLI11's fallthrough.
void add_options(const CLI::App& app, bool with_general, CommandDoc& doc) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    if (!option->nonpositional()) {
      doc.positionals.push_back(describe(*option));
    } else if (with_general || option->get_group() != general) {
      find_or_add(doc.groups, option->get_group()).options.push_back(describe(*option));
    }
  }
}

}  // namespace

std::string OptionDoc::usage() const {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return value.empty() ? text : text + " " + value;
}

std::string GroupDoc::key() const { return lower(title); }

std::string SectionDoc::key() const { return lower(title.substr(title.rfind(' ') + 1)); }

const CommandDoc* CommandDoc::find(std::string_view command) const {
  for (const CommandDoc& doc : commands)
    if (doc.name.substr(doc.name.rfind(' ') + 1) == command) return &doc;
  return nullptr;
}

std::string CommandDoc::usage() const {
  std::string text = name;
  if (!commands.empty()) text += " COMMAND";
  for (const OptionDoc& positional : positionals)
    text += positional.required ? " " + positional.names[0] : " [" + positional.names[0] + "]";
  return text + " [OPTIONS]";
}

CommandDoc describe(const CLI::App& app) {
  CommandDoc doc;
  const CLI::App* parent = app.get_parent();
  doc.name = (parent ? parent->get_name() + " " : "") + app.get_name();
  doc.summary = app.get_description();
  // CLI11 hands a footer down.
  const bool own = !parent || app.get_footer() != parent->get_footer();
  if (own) doc.sections = sections_of(app.get_footer());
  doc.groups.emplace_back();
  add_options(app, true, doc);
  if (parent) add_options(*parent, false, doc);
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    if (!command->get_group().empty()) doc.commands.push_back(describe(*command));
  return doc;
}

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  std::istringstream paragraphs{std::string(text)};
  for (std::string paragraph; std::getline(paragraphs, paragraph);) {
    const auto first = paragraph.find_first_not_of(' ');
    const std::string indent(first == std::string::npos ? 0 : first, ' ');
    std::string line;
    std::istringstream words(paragraph);
    for (std::string word; words >> word;) {
      if (!line.empty() && line.size() + 1 + word.size() > width) {
        lines.push_back(line);
        line.clear();
      }
      line += (line.empty() ? indent : " ") + word;
    }
    lines.push_back(line);
  }
  return lines;
}

}  // namespace pippin
