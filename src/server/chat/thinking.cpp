#include "server/chat/thinking.h"

#include "server/schema/request_json.h"
#include "server/schema/utf8.h"

namespace pippin::server {

void set_thinking(json::object& kwargs, bool on) {
  kwargs["enable_thinking"] = on;
  kwargs["thinking"] = on;
}

void set_effort(json::object& kwargs, std::string_view effort, const std::string& field) {
  if (effort == "none")
    set_thinking(kwargs, false);
  else if (effort == "minimal" || effort == "low")
    kwargs["reasoning_effort"] = "low";
  else if (effort == "medium")
    kwargs["reasoning_effort"] = "medium";
  else if (effort == "high" || effort == "xhigh" || effort == "max")
    kwargs["reasoning_effort"] = "high";
  else
    refuse(field,
           "must be none, minimal, low, medium, high, xhigh or max, got '" + excerpt(effort) + "'");
}

}  // namespace pippin::server
