#include "main/help.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>

#include "pippin/error.h"

namespace pippin {
namespace {

constexpr std::size_t widest_names = 30;
constexpr const char* all = "all";

std::string last_word(const std::string& text) { return text.substr(text.rfind(' ') + 1); }

struct Row {
  std::string name, text;
};

// Names at the left, their texts in a column at the right.
std::string table(const std::vector<Row>& rows) {
  std::size_t width = 0;
  for (const Row& row : rows)
    if (row.name.size() <= widest_names) width = std::max(width, row.name.size());
  const std::size_t column = width + 4;
  std::string out;
  for (const Row& row : rows) {
    std::string line = "  " + row.name;
    bool first = true;
    for (const std::string& text : wrapped(row.text, screen_columns - column)) {
      if (first && line.size() + 2 > column) {  // a long name has a line of its own
        out += line + "\n";
        line.clear();
      }
      line.resize(column, ' ');
      out += line + text + "\n";
      line.clear();
      first = false;
    }
    if (first) out += line + "\n";
  }
  return out;
}

std::string options_table(const std::vector<OptionDoc>& options) {
  std::vector<Row> rows;
  for (const OptionDoc& option : options) rows.push_back({option.usage(), option.text});
  return table(rows);
}

std::string paragraph(const std::string& text) {
  std::string out;
  for (const std::string& line : wrapped(text, screen_columns)) out += line + "\n";
  return out;
}

std::string head(const CommandDoc& doc) {
  std::string out = paragraph(doc.summary) + "Usage: " + doc.usage() + "\n";
  if (!doc.positionals.empty()) out += "\n" + options_table(doc.positionals);
  return out;
}

std::string heading(const GroupDoc& group) {
  if (group.title.empty()) return "Options:\n";
  return group.title + (group.summary.empty() ? "" : ": " + group.summary) + "\n";
}

std::string group_page(const GroupDoc& group) {
  return heading(group) + options_table(group.options);
}

std::string section_page(const SectionDoc& section) { return section.title + ":\n" + section.text; }

std::string commands_table(const CommandDoc& doc) {
  std::vector<Row> rows;
  for (const CommandDoc& command : doc.commands)
    rows.push_back({last_word(command.name), command.summary});
  return rows.empty() ? "" : "\n" + table(rows);
}

std::string everything(const CommandDoc& doc) {
  std::string out = head(doc) + commands_table(doc);
  for (const GroupDoc& group : doc.groups) out += "\n" + group_page(group);
  for (const SectionDoc& section : doc.sections) out += "\n" + section_page(section);
  return out;
}

// What else --help has.
std::vector<std::string> topics_of(const CommandDoc& doc) {
  std::vector<std::string> topics;
  for (const GroupDoc& group : doc.groups)
    if (!group.title.empty()) topics.push_back(group.key());
  for (const SectionDoc& section : doc.sections) topics.push_back(section.key());
  topics.emplace_back(all);
  return topics;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string overview(const CommandDoc& doc) {
  std::vector<Row> groups;
  std::vector<std::string> others;
  for (const GroupDoc& group : doc.groups)
    if (!group.title.empty()) groups.push_back({group.key(), group.summary});
  for (const SectionDoc& section : doc.sections) others.push_back(section.key());
  others.emplace_back(all);
  return head(doc) + commands_table(doc) + "\n" + options_table(doc.groups.front().options) +
         "\nMore: " + doc.name + " --help TOPIC\n" + table(groups) + "  " + joined(others) + "\n";
}

std::size_t num_lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

[[noreturn]] void refuse(const CommandDoc& doc, const std::string& topic) {
  std::string known = joined(topics_of(doc));
  for (const CommandDoc& command : doc.commands) known += ", " + last_word(command.name);
  throw Error(Code::invalid_argument, doc.name + " --help knows no '" + topic + "', but " + known);
}

}  // namespace

std::string help_page(const CommandDoc& doc, const std::string& topic) {
  const std::string whole = everything(doc);
  if (topic == all) return whole;
  if (topic.empty()) return num_lines(whole) <= screen_lines ? whole : overview(doc);
  for (const GroupDoc& group : doc.groups)
    if (group.key() == topic) return group_page(group);
  for (const SectionDoc& section : doc.sections)
    if (section.key() == topic) return section_page(section);
  if (const CommandDoc* command = doc.find(topic)) return help_page(*command, "");
  refuse(doc, topic);
}

void add_help(CLI::App& app) {
  const auto show = [&app](const std::string& topic) {
    std::cout << help_page(describe(app), topic) << std::flush;
    throw CLI::Success();
  };
  app.set_help_flag("");
  app.add_option_function<std::string>("-h,--help", show, "Help, of all or of a topic")
      ->type_name("[TOPIC]")
      ->expected(0, 1)
      ->trigger_on_parse();
}

}  // namespace pippin
