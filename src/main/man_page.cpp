#include "main/man_page.h"

#include <string_view>

namespace pippin {
namespace {

// Text as roff takes it: no character of it is a command.
std::string escaped(std::string_view text) {
  std::string out;
  bool at_start = true;
  for (const char c : text) {
    if (at_start && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
    at_start = c == '\n';
  }
  return out;
}

std::string upper(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

std::string options(const std::vector<OptionDoc>& options) {
  std::string out;
  for (const OptionDoc& option : options)
    out += ".TP\n.B " + escaped(option.usage()) + "\n" + escaped(option.text) + "\n";
  return out;
}

std::string verbatim(const SectionDoc& section) {
  return ".nf\n" + escaped(section.text) + ".fi\n";
}

std::string command(const CommandDoc& doc) {
  std::string out = ".SS " + escaped(doc.usage()) + "\n" + escaped(doc.summary) + ".\n";
  out += options(doc.positionals);
  for (const GroupDoc& group : doc.groups) {
    if (!group.title.empty()) out += ".PP\n.I " + escaped(group.title) + "\n";
    out += options(group.options);
  }
  for (const SectionDoc& section : doc.sections)
    out += ".PP\n.I " + escaped(section.title) + "\n" + verbatim(section);
  return out;
}

}  // namespace

std::string man_page(const CommandDoc& program, const std::string& version) {
  std::string out = ".TH PIPPIN 1 \"\" \"pippin " + escaped(version) + "\" \"User Commands\"\n";
  out += ".SH NAME\n" + escaped(program.name) + " \\- " + escaped(program.summary) + "\n";
  out += ".SH SYNOPSIS\n.B " + escaped(program.usage()) + "\n";
  out += ".SH COMMANDS\n";
  for (const CommandDoc& doc : program.commands) out += command(doc);
  out += ".SH OPTIONS\n";
  for (const GroupDoc& group : program.groups) out += options(group.options);
  for (const SectionDoc& section : program.sections)
    out += ".SH " + escaped(upper(section.title)) + "\n" + verbatim(section);
  out +=
      ".SH EXIT STATUS\n0 where all went well, 2 for a command line that makes no sense, else 1.\n";
  return out;
}

}  // namespace pippin
