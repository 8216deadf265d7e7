// Which formats of reasoning and calls there are, and which of them a model speaks.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/parsers/parser.h"

namespace pippin::text {

struct ReasoningTags;
class Tools;

/// How a model marks reasoning and calls. Immutable: any thread may use it at once.
class OutputFormat {
 public:
  /// Chosen by name; "auto" takes what the chat template's source (or, where there is none, the model type of config.json) shows, "none" parses nothing. Throws Error(invalid_argument) listing the names where there is no such one.
  static OutputFormat choose(std::string_view tool_parser, std::string_view reasoning_parser,
                             std::string_view template_source, std::string_view model_type);

  /// The names, "none" where nothing is parsed.
  const std::string& tool_parser() const { return tool_parser_; }
  const std::string& reasoning_parser() const { return reasoning_parser_; }
  /// What of calls won't work: no format was found where one was looked for, or they can't be forced in it. Empty: nothing.
  const std::string& warning() const { return warning_; }
  /// How reasoning begins and ends; empty where nothing is parsed.
  ReasoningTags reasoning_tags() const;
  /// Reasoning and calls are messages of their own kinds (gpt-oss), not stretches of the text.
  bool has_channels() const;
  /// Spellings of the special tokens by which the format itself ends an answer, whatever the checkpoint says beside.
  std::vector<std::string_view> end_marks() const;

  /// For one answer to `prompt`, the rendered text; without tools (JSON as in ChatRequest, or empty) calls stay text. Null
  /// where there is nothing to tell apart.
  std::unique_ptr<OutputParser> parser(std::string_view prompt, std::string_view tools_json) const;
  /// The same for several answers with the same tools, not null.
  std::unique_ptr<OutputParser> parser(std::string_view prompt,
                                       const std::shared_ptr<const Tools>& tools) const;

  static std::vector<std::string> tool_parsers();
  static std::vector<std::string> reasoning_parsers();

 private:
  std::string tool_parser_ = "none", reasoning_parser_ = "none", warning_;
};

}  // namespace pippin::text
