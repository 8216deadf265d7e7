// Qwen3-Coder, Nemotron 3 and Step 3.5; some leave the outer tag out:
//   <tool_call>
//   <function=f>
//   <parameter=a>
//   1
//   </parameter>
//   </function>
//   </tool_call>
#include "text/parsers/formats.h"
#include "text/parsers/xml_calls.h"

namespace pippin::text {

std::unique_ptr<CallReader> qwen3_coder_calls(const ToolsPtr& tools) {
  return std::make_unique<XmlCalls>(
      CallReader::Tags{
          .begin = {"<tool_call>", "<function="}, .bare = {}, .end = "</tool_call>", .inner = {}},
      XmlCalls::Layout{.call = "<function=",
                       .name_end = {">"},
                       .key = "<parameter=",
                       .key_end = ">",
                       .value = "",
                       .value_end = "</parameter>",
                       .call_end = "</function>",
                       .lines_around_value = true},
      tools);
}

}  // namespace pippin::text
