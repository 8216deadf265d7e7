#include "server/http/parser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace pippin::server {
namespace {

const std::string chunked_post =
    "\r\nPOST /v1/a%20b?x=1 HTTP/1.1\r\nHost: h\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    "4\r\nWiki\r\n6;note=1\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\n\r\n";
const std::string get = "GET /health HTTP/1.1\r\nHost: h\r\n\r\n";

// Feeds `bytes` in pieces of `size`, keeping what was not taken, as a connection does. Returns what
// was left.
std::string feed_in_pieces(RequestParser& parser, std::string_view bytes, std::size_t size) {
  std::string input;
  while (!bytes.empty() && !parser.done() && !parser.failure()) {
    input += bytes.substr(0, size);
    bytes.remove_prefix(std::min(size, bytes.size()));
    input.erase(0, parser.feed(input));
  }
  return input + std::string(bytes);
}

int status_of_request(const std::string& bytes, ParserLimits limits = {}) {
  RequestParser parser(limits);
  feed_in_pieces(parser, bytes, 7);
  return parser.failure() ? parser.failure()->status : 0;
}

std::string with_header(const std::string& fields, const std::string& rest = "") {
  return "POST / HTTP/1.1\r\n" + fields + "\r\n" + rest;
}

TEST(RequestParser, ReadsTheSameRequestInPiecesOfAnySize) {
  const std::string bytes = chunked_post + get;
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    RequestParser parser({});
    const std::string left = feed_in_pieces(parser, bytes, size);
    ASSERT_TRUE(parser.done()) << size;
    EXPECT_TRUE(parser.keep_alive());
    const HttpRequest request = parser.take();
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.path, "/v1/a b");
    EXPECT_EQ(request.query, "x=1");
    EXPECT_EQ(request.headers.get("x-ONE"), "1");
    EXPECT_EQ(request.body, "Wikipedia in \r\n\r\nchunks.");
    EXPECT_EQ(left, get) << size;
  }
}

TEST(RequestParser, ReadsAnEmptyChunkedBodyInPiecesOfAnySize) {
  const std::string bytes =
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get;
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    RequestParser parser({});
    EXPECT_EQ(feed_in_pieces(parser, bytes, size), get) << size;
    ASSERT_TRUE(parser.done()) << size;
    EXPECT_EQ(parser.take().body, "");
  }
}

TEST(RequestParser, ReadsOneOfSeveralPipelinedRequests) {
  RequestParser parser({});
  EXPECT_EQ(parser.feed(get + get), get.size());
  EXPECT_TRUE(parser.done());
}

TEST(RequestParser, TakesTheTargetsThatRequestsHave) {
  const auto path_of = [](const std::string& target) {
    RequestParser parser({});
    parser.feed("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n");
    return parser.done() ? parser.take().path : "refused";
  };
  EXPECT_EQ(path_of("/"), "/");
  EXPECT_EQ(path_of("http://h:80/x?y"), "/x");
  EXPECT_EQ(path_of("http://h"), "/");
  EXPECT_EQ(path_of("/v1/models/Qwen%2FQwen3"), "/v1/models/Qwen/Qwen3");
  EXPECT_EQ(path_of("/%zz"), "refused");
  EXPECT_EQ(path_of("/%00"), "refused");
  EXPECT_EQ(path_of("/%4"), "refused");
  EXPECT_EQ(path_of("x"), "refused");
}

TEST(RequestParser, RefusesWhatIsTooLarge) {
  const ParserLimits small{100, 10};
  EXPECT_EQ(status_of_request("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n", small),
            413);
  EXPECT_EQ(
      status_of_request(
          "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n", small),
      400);
  EXPECT_EQ(status_of_request(with_header("Host: h\r\nTransfer-Encoding: chunked\r\n",
                                          "6\r\n123456\r\n5\r\n12345\r\n0\r\n\r\n"),
                              small),
            413);
  EXPECT_EQ(
      status_of_request(
          with_header("Host: h\r\nTransfer-Encoding: chunked\r\n", "FFFFFFFFFFFFFFFF\r\n"), small),
      413);
  EXPECT_EQ(
      status_of_request("GET /" + std::string(200, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n", small),
      431);
  EXPECT_EQ(
      status_of_request(with_header("Host: h\r\nX: " + std::string(200, 'a') + "\r\n"), small),
      431);
  EXPECT_EQ(status_of_request(with_header("Host: h\r\nTransfer-Encoding: chunked\r\n",
                                          "1;" + std::string(200, 'a')),
                              small),
            431);
}

TEST(RequestParser, RefusesAmbiguousFraming) {
  EXPECT_EQ(status_of_request(with_header("")), 400);
  EXPECT_EQ(status_of_request(with_header("Host: a\r\nHost: b\r\n")), 400);
  EXPECT_EQ(status_of_request(
                with_header("Host: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n")),
            400);
  EXPECT_EQ(status_of_request(
                with_header("Host: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n")),
            400);
  EXPECT_EQ(status_of_request(with_header("Host: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n")),
            400);
  EXPECT_EQ(status_of_request(with_header("Host: h\r\nContent-Length: -1\r\n")), 400);
  EXPECT_EQ(status_of_request(with_header("Host: h\r\nTransfer-Encoding: gzip\r\n")), 501);
  EXPECT_EQ(status_of_request(with_header("Host: h\r\nTransfer-Encoding: gzip, chunked\r\n")), 501);
}

TEST(RequestParser, RefusesWhatIsNotHttp) {
  EXPECT_EQ(status_of_request("hello there\r\n\r\n"), 400);
  EXPECT_EQ(status_of_request("GET / HTTP/3.0\r\n\r\n"), 400);
  EXPECT_EQ(status_of_request(std::string("\x16\x03\x01\x02\x00\x01\x00", 7)), 400);  // a TLS hello
  EXPECT_EQ(status_of_request(with_header("Host: h\r\nno colon\r\n")), 400);
  EXPECT_EQ(status_of_request(with_header("Host: h\r\nExpect: the-worst\r\n")), 417);
  EXPECT_EQ(status_of_request(with_header("Host: h\r\nTransfer-Encoding: chunked\r\n", "xyz\r\n")),
            400);
}

TEST(RequestParser, KnowsWhenTheConnectionEnds) {
  const auto keeps = [](const std::string& bytes) {
    RequestParser parser({});
    parser.feed(bytes);
    return parser.keep_alive();
  };
  EXPECT_TRUE(keeps(get));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
}

}  // namespace
}  // namespace pippin::server
