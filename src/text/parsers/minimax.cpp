// MiniMax M2:
//   <minimax:tool_call>
//   <invoke name="f">
//   <parameter name="a">1</parameter>
//   </invoke>
//   </minimax:tool_call>
#include "text/parsers/formats.h"
#include "text/parsers/xml_calls.h"

namespace pippin::text {

std::unique_ptr<CallReader> minimax_calls(const ToolsPtr& tools) {
  return std::make_unique<XmlCalls>(
      CallReader::Tags{
          .begin = {"<minimax:tool_call>"}, .bare = {}, .end = "</minimax:tool_call>", .inner = {}},
      XmlCalls::Layout{.call = "<invoke name=\"",
                       .name_end = {"\">"},
                       .key = "<parameter name=\"",
                       .key_end = "\">",
                       .value = "",
                       .value_end = "</parameter>",
                       .call_end = "</invoke>"},
      tools);
}

}  // namespace pippin::text
