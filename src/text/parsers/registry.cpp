#include "text/parsers/registry.h"

#include <algorithm>

#include "pippin/error.h"
#include "text/parsers/channels.h"
#include "text/parsers/formats.h"

namespace pippin::text {
namespace {

constexpr std::string_view harmony = "harmony";  // one parser for calls and reasoning

using Names = std::vector<std::string_view>;
using MakeCalls = std::unique_ptr<CallReader> (*)(const ToolsPtr&);

struct ToolFormat {
  std::string_view name;
  MakeCalls make;  ///< null for harmony
  /// A template that has one of these strings speaks the format.
  Names signs;
  Names model_types;
};

struct ReasoningFormat {
  std::string_view name;
  ReasoningTags tags;
  std::string_view sign;  ///< in a template that speaks it
};

// In the order in which they are tried: signs that others share come last.
const std::vector<ToolFormat>& tool_formats() {
  static const std::vector<ToolFormat> formats{
      {"qwen3_coder", qwen3_coder_calls, {"<function="}, {}},
      {"minimax", minimax_calls, {"<minimax:tool_call>"}, {"minimax", "minimax_m2"}},
      {"glm", glm_calls, {"<arg_key>"}, {"glm4_moe"}},
      {"deepseek",
       deepseek_calls,
       {"<｜tool▁call▁begin｜>", "<｜tool▁calls▁begin｜>"},
       {"deepseek_v3"}},
      {"kimi_k2", kimi_k2_calls, {"<|tool_call_begin|>"}, {"kimi_k2"}},
      {"mistral", mistral_calls, {"[TOOL_CALLS]"}, {"mistral", "mistral3", "mixtral"}},
      {"nemotron", nemotron_calls, {"<TOOLCALL>"}, {"nemotron_h"}},
      {"gemma4", gemma4_calls, {"<|tool_call>"}, {"gemma4"}},
      {"functiongemma", functiongemma_calls, {"<start_function_call>"}, {}},
      {"phi", phi_calls, {"<|/tool|>", "functools["}, {"phi3"}},
      {"granite", granite_calls, {"<|tool_call|>"}, {"granite"}},
      {harmony, nullptr, {"<|channel|>"}, {"gpt_oss"}},
      {"command_r", command_r_calls, {"Action: ```json"}, {"cohere", "cohere2"}},
      {"hermes", hermes_calls, {"<tool_call>"}, {"qwen2", "qwen3", "qwen3_vl"}},
      {"pythonic", pythonic_calls, {"<|python_start|>", "<|header_start|>"}, {"llama4"}},
      {"llama3_json", llama3_json_calls, {"<|start_header_id|>"}, {"llama"}},
      {"gemma3", gemma3_calls, {"<start_of_turn>"}, {"gemma3", "gemma3_text"}},
  };
  return formats;
}

const std::vector<ReasoningFormat>& reasoning_formats() {
  static const std::vector<ReasoningFormat> formats{
      {"think", {"<think>", "</think>"}, "</think>"},
      {"mistral", {"[THINK]", "[/THINK]"}, "[/THINK]"},
      {"gemma4", {"<|channel>thought\n", "<channel|>"}, "<channel|>"},
      {"granite",
       {"Here is my thought process:", "Here is my response:"},
       "Here is my thought process:"},
      {harmony, {}, "<|channel|>"},
  };
  return formats;
}

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

std::string_view guess_tool_format(std::string_view source, std::string_view model_type) {
  for (const auto& format : tool_formats())
    for (const auto sign : format.signs)
      if (contains(source, sign)) return format.name;
  for (const auto& format : tool_formats())
    for (const auto type : format.model_types)
      if (type == model_type) return format.name;
  return "none";
}

std::string_view guess_reasoning_format(std::string_view source) {
  for (const auto& format : reasoning_formats())
    if (contains(source, format.sign)) return format.name;
  return "none";
}

}  // namespace

OutputFormat OutputFormat::choose(std::string_view tool_parser, std::string_view reasoning_parser,
                                  std::string_view template_source, std::string_view model_type) {
  check_name(tool_parser, tool_parsers(), "tool_parser");
  check_name(reasoning_parser, reasoning_parsers(), "reasoning_parser");
  OutputFormat format;
  format.tool_parser_ =
      tool_parser == "auto" ? guess_tool_format(template_source, model_type) : tool_parser;
  format.reasoning_parser_ =
      reasoning_parser == "auto" ? guess_reasoning_format(template_source) : reasoning_parser;
  return format;
}

ReasoningTags OutputFormat::reasoning_tags() const {
  const auto* reasoning = find_named(reasoning_formats(), reasoning_parser_);
  return reasoning ? reasoning->tags : ReasoningTags{};
}

bool OutputFormat::has_channels() const {
  return tool_parser_ == harmony || reasoning_parser_ == harmony;
}

std::vector<std::string_view> OutputFormat::end_marks() const {
  return has_channels() ? channels::end_marks() : std::vector<std::string_view>{};
}

std::unique_ptr<OutputParser> OutputFormat::parser(std::string_view prompt,
                                                   std::string_view tools_json) const {
  const auto tools = std::make_shared<const Tools>(tools_json);
  if (has_channels())
    return harmony_parser(prompt, tool_parser_ == harmony && !tools->empty(),
                          reasoning_parser_ == harmony);
  const auto* reasoning = find_named(reasoning_formats(), reasoning_parser_);
  const auto* calls = tools->empty() ? nullptr : find_named(tool_formats(), tool_parser_);
  if (!reasoning && !calls) return nullptr;
  const auto tags = reasoning ? reasoning->tags : ReasoningTags{};
  const bool opened = reasoning && trimmed(prompt).ends_with(trimmed(tags.open));
  return std::make_unique<SectionParser>(tags, calls ? calls->make(tools) : nullptr, opened);
}

std::vector<std::string> OutputFormat::tool_parsers() { return names_of(tool_formats()); }

std::vector<std::string> OutputFormat::reasoning_parsers() { return names_of(reasoning_formats()); }

}  // namespace pippin::text
