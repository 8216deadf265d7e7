// Calls as elements, an argument each:
//   Seed-OSS       <seed:tool_call>
//                  <function=f>
//                  <parameter=a>1</parameter>
//                  </function>
//                  </seed:tool_call>
//   DeepSeek V3.2  <｜DSML｜function_calls>
//                  <｜DSML｜invoke name="f">
//                  <｜DSML｜parameter name="a" string="false">1</｜DSML｜parameter>
//                  </｜DSML｜invoke>
//                  </｜DSML｜function_calls>, and V4 the same in <｜DSML｜tool_calls>
//   Hunyuan 3      <tool_calls:opensource>
//                  <tool_call:opensource>f<tool_sep:opensource>
//                  <arg_key:opensource>a</arg_key:opensource>
//                  <arg_value:opensource>1</arg_value:opensource>
//                  </tool_call:opensource>
//                  </tool_calls:opensource>
//   MiniCPM 5      <function name="f"><param name="a">1</param><param name="b"><![CDATA[<x>]]></param></function>
//   Kimi K3        <|open|>tools<|sep|><|open|>call tool="f" index="1"<|sep|><|open|>argument key="a" type="number"<|sep|>1
//                  <|close|>argument<|sep|><|close|>call<|sep|><|close|>tools<|sep|>
//   Muse Glimmer   <atem:function_calls>
//                  <atem:invoke name="f">
//                  <atem:parameter name="a">1</atem:parameter>
//                  </atem:invoke>
//                  </atem:function_calls>
#include "text/parsers/formats.h"
#include "text/parsers/xml_calls.h"

namespace pippin::text {
namespace {

using Tags = CallReader::Tags;
using Layout = XmlCalls::Layout;

std::unique_ptr<CallReader> dsml_calls(std::string_view begin, std::string_view end,
                                       const ToolsPtr& tools) {
  return std::make_unique<XmlCalls>(
      Tags{.begin = {begin}, .bare = {}, .end = end, .inner = {"｜DSML｜"}},
      Layout{.call = "<｜DSML｜invoke name=\"",
             .name_end = {"\">"},
             .key = "<｜DSML｜parameter name=\"",
             .key_end = "\">",
             .value = "",
             .value_end = "</｜DSML｜parameter>",
             .call_end = "</｜DSML｜invoke>",
             .type = "\" string=\"",
             .type_end = "\">",
             .text_type = "true"},
      tools);
}

}  // namespace

std::unique_ptr<CallReader> seed_oss_calls(const ToolsPtr& tools) {
  return std::make_unique<XmlCalls>(
      Tags{.begin = {"<seed:tool_call>"}, .bare = {}, .end = "</seed:tool_call>", .inner = {}},
      Layout{.call = "<function=",
             .name_end = {">"},
             .key = "<parameter=",
             .key_end = ">",
             .value = "",
             .value_end = "</parameter>",
             .call_end = "</function>"},
      tools);
}

std::unique_ptr<CallReader> deepseek_v32_calls(const ToolsPtr& tools) {
  return dsml_calls("<｜DSML｜function_calls>", "</｜DSML｜function_calls>", tools);
}

std::unique_ptr<CallReader> deepseek_v4_calls(const ToolsPtr& tools) {
  return dsml_calls("<｜DSML｜tool_calls>", "</｜DSML｜tool_calls>", tools);
}

std::unique_ptr<CallReader> hunyuan3_calls(const ToolsPtr& tools) {
  return std::make_unique<XmlCalls>(
      Tags{.begin = {"<tool_calls:opensource>"},
           .bare = {},
           .end = "</tool_calls:opensource>",
           .inner = {"<tool_call:opensource>", "</tool_call:opensource>", "<tool_sep:opensource>",
                     "<arg_key:opensource>", "</arg_key:opensource>", "<arg_value:opensource>",
                     "</arg_value:opensource>"}},
      Layout{.call = "<tool_call:opensource>",
             .name_end = {"<tool_sep:opensource>"},
             .key = "<arg_key:opensource>",
             .key_end = "</arg_key:opensource>",
             .value = "<arg_value:opensource>",
             .value_end = "</arg_value:opensource>",
             .call_end = "</tool_call:opensource>"},
      tools);
}

std::unique_ptr<CallReader> minicpm5_calls(const ToolsPtr& tools) {
  return std::make_unique<XmlCalls>(
      Tags{.begin = {"<function name=\""}, .bare = {}, .end = "", .inner = {}},
      Layout{.call = "<function name=\"",
             .name_end = {"\">"},
             .key = "<param name=\"",
             .key_end = "\">",
             .value = "",
             .value_end = "</param>",
             .call_end = "</function>",
             .quote = "<![CDATA[",
             .quote_end = "]]></param>"},
      tools);
}

std::unique_ptr<CallReader> kimi_k3_calls(const ToolsPtr& tools) {
  return std::make_unique<XmlCalls>(Tags{.begin = {"<|open|>tools<|sep|>"},
                                         .bare = {},
                                         .end = "<|close|>tools<|sep|>",
                                         .inner = {"<|open|>", "<|close|>", "<|sep|>"}},
                                    Layout{.call = "<|open|>call tool=\"",
                                           .name_end = {"\""},
                                           .head_end = "<|sep|>",
                                           .key = "<|open|>argument key=\"",
                                           .key_end = "\"<|sep|>",
                                           .value = "",
                                           .value_end = "<|close|>argument<|sep|>",
                                           .call_end = "<|close|>call<|sep|>",
                                           .type = "\" type=\"",
                                           .type_end = "\"<|sep|>",
                                           .text_type = "string",
                                           .object = "<|open|>json type=\"object\"<|sep|>",
                                           .object_end = "<|close|>json<|sep|>"},
                                    tools);
}

std::unique_ptr<CallReader> muse_calls(const ToolsPtr& tools) {
  return std::make_unique<XmlCalls>(Tags{.begin = {"<atem:function_calls>"},
                                         .bare = {},
                                         .end = "</atem:function_calls>",
                                         .inner = {}},
                                    Layout{.call = "<atem:invoke name=\"",
                                           .name_end = {"\">"},
                                           .key = "<atem:parameter name=\"",
                                           .key_end = "\">",
                                           .value = "",
                                           .value_end = "</atem:parameter>",
                                           .call_end = "</atem:invoke>"},
                                    tools);
}

}  // namespace pippin::text
