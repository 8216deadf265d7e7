#include "text/parsers/registry.h"

#include <algorithm>

#include "pippin/error.h"
#include "text/parsers/call_grammar.h"
#include "text/parsers/channels.h"
#include "text/parsers/format_table.h"

namespace pippin::text {
namespace {

template <class Formats>
auto find_named(const Formats& formats, std::string_view name) {
  const auto found = std::find_if(formats.begin(), formats.end(),
                                  [&](const auto& format) { return format.name == name; });
  return found == formats.end() ? nullptr : &*found;
}

template <class Formats>
std::vector<std::string> names_of(const Formats& formats) {
  std::vector<std::string> names{"auto", "none"};
  for (const auto& format : formats) names.emplace_back(format.name);
  return names;
}

void check_name(std::string_view name, const std::vector<std::string>& names, const char* field) {
  if (std::find(names.begin(), names.end(), name) != names.end()) return;
  std::string list;
  for (const auto& known : names) list += (list.empty() ? "" : ", ") + known;
  throw Error(
      Code::invalid_argument,
      std::string("there is no ") + field + " '" + std::string(name) + "'; there are " + list,
      field);
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

template <class Formats>
std::string_view format_spoken(const Formats& formats, std::string_view source) {
  const auto shown = [&](const Sign& sign) {
    return std::all_of(sign.begin(), sign.end(), [&](auto part) { return contains(source, part); });
  };
  for (const auto& format : formats)
    if (std::any_of(format.signs.begin(), format.signs.end(), shown)) return format.name;
  return "none";
}

// A template that shows no format speaks none, whatever others of the model's type do.
std::string_view guess_tool_format(std::string_view source, std::string_view model_type) {
  if (!source.empty()) return format_spoken(tool_formats(), source);
  for (const auto& format : tool_formats())
    for (const auto type : format.model_types)
      if (type == model_type) return format.name;
  return "none";
}

bool can_be_forced(std::string_view tool_parser) {
  const std::string names = ", " + call_grammar_formats() + ", ";
  return contains(names, ", " + std::string(tool_parser) + ", ");
}

std::string warning_of(std::string_view source) {
  return contains(source, "tools")
             ? "tool calls will come as text: the chat template shows none of the formats of calls "
               "that are known (--tool-parser names one)"
             : "tools can't be offered: the chat template has no place for them";
}

void add(const Surroundings& surroundings, SectionMarks& marks) {
  const auto& [silent, parts, begun] = surroundings;
  for (const auto& mark : silent)
    if (std::none_of(marks.silent.begin(), marks.silent.end(),
                     [&](const auto& known) { return known.begin == mark.begin; }))
      marks.silent.push_back(mark);
  marks.parts.insert(marks.parts.end(), parts.begin(), parts.end());
}

}  // namespace

OutputFormat OutputFormat::choose(std::string_view tool_parser, std::string_view reasoning_parser,
                                  std::string_view template_source, std::string_view model_type) {
  check_name(tool_parser, tool_parsers(), "tool_parser");
  check_name(reasoning_parser, reasoning_parsers(), "reasoning_parser");
  OutputFormat format;
  format.tool_parser_ =
      tool_parser == "auto" ? guess_tool_format(template_source, model_type) : tool_parser;
  format.reasoning_parser_ = reasoning_parser == "auto"
                                 ? format_spoken(reasoning_formats(), template_source)
                                 : reasoning_parser;
  if (tool_parser == "auto" && format.tool_parser_ == "none" && !template_source.empty())
    format.warning_ = warning_of(template_source);
  if (format.tool_parser_ != "none" && !can_be_forced(format.tool_parser_))
    format.warning_ = "calls can't be forced in this model's format, " + format.tool_parser_ +
                      ": 'tool_choice' must be auto or none, and no tool 'strict'";
  return format;
}

// As an answer has them: where prompts end in the beginning of the tag, the rest.
ReasoningTags OutputFormat::reasoning_tags() const {
  const auto* reasoning = find_named(reasoning_formats(), reasoning_parser_);
  if (!reasoning) return {};
  auto tags = reasoning->tags;
  if (tags.open.starts_with(reasoning->surroundings.begun))
    tags.open.remove_prefix(reasoning->surroundings.begun.size());
  return tags;
}

bool OutputFormat::has_channels() const {
  return tool_parser_ == harmony || reasoning_parser_ == harmony;
}

std::vector<std::string_view> OutputFormat::end_marks() const {
  return has_channels() ? channels::end_marks() : std::vector<std::string_view>{};
}

std::unique_ptr<OutputParser> OutputFormat::parser(std::string_view prompt,
                                                   std::string_view tools_json) const {
  return parser(prompt, std::make_shared<const Tools>(tools_json));
}

std::unique_ptr<OutputParser> OutputFormat::parser(
    std::string_view prompt, const std::shared_ptr<const Tools>& tools) const {
  if (has_channels())
    return harmony_parser(prompt, tool_parser_ == harmony && !tools->empty(),
                          reasoning_parser_ == harmony);
  const auto* reasoning = find_named(reasoning_formats(), reasoning_parser_);
  const auto* calls = find_named(tool_formats(), tool_parser_);
  SectionMarks marks{.reasoning = reasoning ? reasoning->tags : ReasoningTags{}};
  std::string_view begun;
  for (const auto* around :
       {reasoning ? &reasoning->surroundings : nullptr, calls ? &calls->surroundings : nullptr}) {
    if (!around) continue;
    add(*around, marks);
    if (!around->begun.empty() && trimmed(prompt).ends_with(around->begun)) begun = around->begun;
  }
  auto reader = calls && !tools->empty() ? calls->make(tools) : nullptr;
  if (!reasoning && !reader && marks.silent.empty()) return nullptr;
  const bool opened = reasoning && trimmed(prompt).ends_with(trimmed(marks.reasoning.open));
  return std::make_unique<SectionParser>(std::move(marks), std::move(reader), opened, begun);
}

std::vector<std::string> OutputFormat::tool_parsers() { return names_of(tool_formats()); }

std::vector<std::string> OutputFormat::reasoning_parsers() { return names_of(reasoning_formats()); }

}  // namespace pippin::text
