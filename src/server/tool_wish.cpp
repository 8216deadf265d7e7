#include "server/tool_wish.h"

#include "server/request_json.h"

namespace pippin::server {

void apply(const ToolWish& choice, const std::string& field, ChatCall& call) {
  switch (choice.kind) {
    case ToolWish::Kind::automatic:
      return;
    case ToolWish::Kind::none:
      // A model that does not see the tools does not call them.
      call.request.tools_json.clear();
      return;
    case ToolWish::Kind::required:
    case ToolWish::Kind::named:
      refuse(field,
             "can't force a call here: that needs constrained decoding, which is not supported");
  }
}

}  // namespace pippin::server
