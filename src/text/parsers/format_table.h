// The formats of reasoning and calls by name, as data: what reads them, and by what a template that speaks them is known.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "text/parsers/formats.h"

namespace pippin::text {

inline constexpr std::string_view harmony = "harmony";  // one parser for calls and reasoning

/// Strings that a template has, all of them.
using Sign = std::vector<std::string_view>;

/// What a format marks beside reasoning and calls.
struct Surroundings {
  std::vector<SilentMark> silent = {};
  std::vector<std::string_view> parts = {};  ///< special tokens of which its tags are made
  std::string_view begun = {};  ///< the beginning of its first tag, where prompts end in it
};

struct ToolFormat {
  std::string_view name;
  std::unique_ptr<CallReader> (*make)(const ToolsPtr&);  ///< null for harmony
  /// A template that has one of these speaks the format.
  std::vector<Sign> signs;
  std::vector<std::string_view> model_types;
  Surroundings surroundings = {};
};

struct ReasoningFormat {
  std::string_view name;
  ReasoningTags tags;
  std::vector<Sign> signs;
  Surroundings surroundings = {};
};

/// In the order in which they are tried: signs that others share come last.
const std::vector<ToolFormat>& tool_formats();
const std::vector<ReasoningFormat>& reasoning_formats();

}  // namespace pippin::text
