#include "server/chat/reply.h"

#include "server/http/sse.h"

namespace pippin::server {

StreamForm event_stream() {
  return {"text/event-stream; charset=utf-8", sse_comment("keep-alive")};
}

}  // namespace pippin::server
