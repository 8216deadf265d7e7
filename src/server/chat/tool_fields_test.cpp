#include "server/chat/tool_fields.h"

#include <gtest/gtest.h>

namespace pippin::server {
namespace {

TEST(ToolFields, TellPathsAsTheClientSentThem) {
  ChatCall call;
  call.request.tools_json =
      R"([{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "g"}}])";
  call.tool_fields = {{"f", "tools.2.input_schema"}, {"g", "tools.3.tools.0.parameters"}};
  const ToolFields fields(call);
  EXPECT_EQ(fields.as_sent("tools.0.function.parameters.properties.x.format"),
            "tools.2.input_schema.properties.x.format");
  EXPECT_EQ(fields.as_sent("'tools.1.function.parameters': no; 'tools.0.function.parameters'"),
            "'tools.3.tools.0.parameters': no; 'tools.2.input_schema'");
  for (const char* other : {"tools", "tools.7.function.parameters", "tools.0.name", "tools.x", ""})
    EXPECT_EQ(fields.as_sent(other), other);
}

}  // namespace
}  // namespace pippin::server
