// The tools of Anthropic's Messages API: JSON -> native types.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/json.h"

namespace pippin::server {

struct AnthropicTools {
  std::string json;  ///< all, in OpenAI's shape; "" for none
  /// Those that the template is given, where some are loaded later (defer_loading).
  std::optional<std::string> template_json;
  /// The others' definitions, of which a message tells where it refers to them: so the prompt before stays as it was.
  std::map<std::string, std::string, std::less<>> later;
};

/// Tools that Anthropic's servers run, or whose schema only its models know, are refused by their type. Throws Error(invalid_argument) naming the path of what is wrong.
AnthropicTools parse_anthropic_tools(const json::array& tools);

}  // namespace pippin::server
