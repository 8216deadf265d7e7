// GLM 4.5 and 4.6; 4.7 writes the same without line breaks:
//   <tool_call>f
//   <arg_key>a</arg_key>
//   <arg_value>1</arg_value>
//   </tool_call>
#include "text/parsers/formats.h"
#include "text/parsers/xml_calls.h"

namespace pippin::text {

std::unique_ptr<CallReader> glm_calls(const ToolsPtr& tools) {
  constexpr std::string_view end = "</tool_call>";
  return std::make_unique<XmlCalls>(
      CallReader::Tags{.begin = {"<tool_call>"},
                       .bare = {},
                       .end = end,
                       .inner = {"<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"}},
      XmlCalls::Layout{.call = "",
                       .name_end = {"\n", "<arg_key>", end},
                       .name_end_stays = true,
                       .key = "<arg_key>",
                       .key_end = "</arg_key>",
                       .value = "<arg_value>",
                       .value_end = "</arg_value>",
                       .call_end = end},
      tools);
}

}  // namespace pippin::text
