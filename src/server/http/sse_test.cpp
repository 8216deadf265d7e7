#include "server/http/sse.h"

#include <gtest/gtest.h>

namespace pippin::server {
namespace {

TEST(Sse, EventsEndWithAnEmptyLine) {
  EXPECT_EQ(sse_event("{\"a\":1}"), "data: {\"a\":1}\n\n");
  EXPECT_EQ(sse_event(""), "data: \n\n");
  EXPECT_EQ(sse_event("a\nb\r\nc\rd\n"), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
  EXPECT_EQ(sse_event("[DONE]"), sse_done);
}

TEST(Sse, EventsMayHaveNames) { EXPECT_EQ(sse_event("ping", "{}"), "event: ping\ndata: {}\n\n"); }

TEST(Sse, CommentsStayComments) {
  EXPECT_EQ(sse_comment("alive"), ": alive\n\n");
  EXPECT_EQ(sse_comment("a\ndata: b"), ": a\n: data: b\n\n");
}

}  // namespace
}  // namespace pippin::server
