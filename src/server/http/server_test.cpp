#include "server/http/server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "base/json.h"
#include "base/thread_pool.h"
#include "pippin/error.h"
#include "server/http/test_client.h"

namespace pippin::server {
namespace {

using std::chrono::milliseconds;
using Time = std::chrono::steady_clock;

std::string get(const std::string& path, const std::string& fields = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
}

std::string post(const std::string& path, const std::string& body) {
  return "POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

double ms_since(Time::time_point start) {
  return std::chrono::duration<double, std::milli>(Time::now() - start).count();
}

// Writes `piece` again and again, each time the one before has left, `count` times.
void stream_pieces(std::shared_ptr<Exchange> exchange, std::string piece, int count,
                   std::atomic<int>& written) {
  if (count == 0) return exchange->finish();
  auto next = [exchange, piece, count, &written] {
    ++written;
    stream_pieces(exchange, piece, count - 1, written);
  };
  exchange->write(piece, next);
}

class HttpTest : public ::testing::Test {
 protected:
  void start(HttpOptions options = {}) {
    options.host = "127.0.0.1";
    options.port = 0;
    server_.emplace(options, pool_);
    server_->start(routes());
  }

  Router routes() {
    Router router;
    router.add("GET", "/hello",
               [](auto exchange) { exchange->respond({200, {{"X-A", "b"}}, "hi"}); });
    router.add("POST", "/echo",
               [](auto exchange) { exchange->respond({200, {}, exchange->request().body}); });
    router.add(
        "GET", "/alive", [](auto exchange) { exchange->respond({200, {}, "yes"}); },
        Where::io_thread);
    router.add("GET", "/refuse",
               [](auto) { throw Error(Code::invalid_argument, "no such luck", "luck"); });
    router.add("GET", "/bug", [](auto) { throw std::logic_error("secret"); });
    router.add("GET", "/forget", [](auto) {});
    router.add("GET", "/block", [this](auto exchange) {
      gate_.get_future().wait();
      exchange->respond({200, {}, ""});
    });
    router.add("GET", "/three", [this](auto exchange) {
      exchange->start_stream({{"Content-Type", "text/plain"}});
      stream_pieces(exchange, "abc", 3, written_);
    });
    router.add("GET", "/much", [this](auto exchange) {
      exchange->start_stream({});
      stream_pieces(exchange, std::string(1 << 20, 'x'), 200, written_);
    });
    router.add("GET", "/endless", [this](auto exchange) {
      exchange->on_disconnect([this] { gone_.set_value(); });
      exchange->start_stream({});
      exchange->write("begun", {});
      std::lock_guard lock(mutex_);
      held_ = exchange;
    });
    router.add("POST", "/wait", [this](auto exchange) {
      exchange->on_disconnect([this] { gone_.set_value(); });
      std::lock_guard lock(mutex_);
      held_ = exchange;
    });
    router.add("GET", "/kept-alive", [this](auto exchange) {
      exchange->on_disconnect([this] { gone_.set_value(); });
      exchange->start_stream({});
      exchange->keep_alive_with(": waiting");
      exchange->write("begun", {});
      std::lock_guard lock(mutex_);
      held_ = exchange;
    });
    router.add("GET", "/cut", [](auto exchange) {
      exchange->start_stream({});
      exchange->write("begun", {});
    });
    return router;
  }

  std::uint16_t port() const { return server_->port(); }

  TestResponse once(const std::string& bytes) {
    TestClient client(port());
    client.send(bytes);
    return client.receive();
  }

  bool told_gone(std::chrono::seconds patience = std::chrono::seconds(5)) {
    return gone_.get_future().wait_for(patience) == std::future_status::ready;
  }

  std::promise<void> gate_;
  std::promise<void> gone_;
  std::atomic<int> written_ = 0;
  std::mutex mutex_;
  std::shared_ptr<Exchange> held_;  // guarded by mutex_
  ThreadPool pool_{2};
  std::optional<HttpServer> server_;
};

TEST_F(HttpTest, AnswersAndKeepsTheConnection) {
  start();
  TestClient client(port());
  for (int i = 0; i < 3; ++i) {
    client.send(get("/hello"));
    const TestResponse response = client.receive();
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "hi");
    EXPECT_EQ(response.headers.at("x-a"), "b");
    EXPECT_FALSE(response.headers.at("x-request-id").empty());
  }
  client.send(get("/hello", "Connection: close\r\n"));
  EXPECT_EQ(client.receive().headers.at("connection"), "close");
  EXPECT_TRUE(client.closed());
}

TEST_F(HttpTest, EchoesUsableRequestIdsOnly) {
  start();
  EXPECT_EQ(once(get("/hello", "X-Request-Id: my-1\r\n")).headers.at("x-request-id"), "my-1");
  EXPECT_NE(once(get("/hello", "X-Request-Id: a\tb\r\n")).headers.at("x-request-id"), "a\tb");
  EXPECT_NE(once(get("/hello")).headers.at("x-request-id"),
            once(get("/hello")).headers.at("x-request-id"));
}

TEST_F(HttpTest, TakesRequestsByteByByte) {
  start();
  TestClient client(port());
  for (const char byte : post("/echo", "slowly but surely")) client.send({&byte, 1});
  EXPECT_EQ(client.receive().body, "slowly but surely");
}

TEST_F(HttpTest, AnswersPipelinedRequestsInOrder) {
  start();
  TestClient client(port());
  std::string all;
  for (int i = 0; i < 50; ++i) all += post("/echo", "number " + std::to_string(i));
  client.send(all + get("/three") + get("/hello"));
  for (int i = 0; i < 50; ++i) EXPECT_EQ(client.receive().body, "number " + std::to_string(i));
  EXPECT_EQ(client.receive().body, "abcabcabc");
  EXPECT_EQ(client.receive().body, "hi");
}

TEST_F(HttpTest, NamesUnknownPathsAndMethods) {
  start();
  EXPECT_EQ(once(get("/nothing")).status, 404);
  const TestResponse response = once(get("/echo"));
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(response.headers.at("allow"), "POST");
  EXPECT_EQ(parse_json(response.body, "body").at("error").at("type"), "invalid_request_error");
}

TEST_F(HttpTest, AnswersHeadWithoutABody) {
  start();
  TestClient client(port());
  client.send("HEAD /hello HTTP/1.1\r\nHost: h\r\n\r\n" + get("/hello"));
  const TestResponse head = client.receive(true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-length"), "2");
  EXPECT_EQ(client.receive().body, "hi");
}

TEST_F(HttpTest, TurnsErrorsIntoAnswers) {
  start();
  const TestResponse refused = once(get("/refuse"));
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(parse_json(refused.body, "body").at("error").at("param"), "luck");
  const TestResponse bug = once(get("/bug"));
  EXPECT_EQ(bug.status, 500);
  EXPECT_EQ(bug.body.find("secret"), std::string::npos);
  EXPECT_EQ(once(get("/forget")).status, 500);
}

TEST_F(HttpTest, StreamsInChunks) {
  start();
  const TestResponse response = once(get("/three"));
  EXPECT_EQ(response.headers.at("transfer-encoding"), "chunked");
  EXPECT_EQ(response.headers.at("content-type"), "text/plain");
  EXPECT_EQ(response.body, "abcabcabc");
  EXPECT_TRUE(response.complete);
}

TEST_F(HttpTest, StreamsToOldClientsWithoutChunks) {
  start();
  TestClient client(port());
  client.send("GET /three HTTP/1.0\r\n\r\n");
  const TestResponse response = client.receive();
  EXPECT_FALSE(response.headers.contains("transfer-encoding"));
  EXPECT_EQ(response.body, "abcabcabc");
}

TEST_F(HttpTest, CutsAForgottenStreamVisibly) {
  start();
  const TestResponse response = once(get("/cut"));
  EXPECT_EQ(response.body, "begun");
  EXPECT_FALSE(response.complete);
}

TEST_F(HttpTest, SaysGoOnWhenAsked) {
  start();
  TestClient client(port());
  client.send(
      "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(client.receive().status, 100);
  client.send("body");
  EXPECT_EQ(client.receive().body, "body");
}

TEST_F(HttpTest, RefusesALargeBodyBeforeReadingIt) {
  HttpOptions options;
  options.max_body_bytes = 1000;
  start(options);
  const auto before = Time::now();
  TestClient asking(port());
  asking.send(
      "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n");
  EXPECT_EQ(asking.receive().status, 413);
  EXPECT_LT(ms_since(before), 1000);
}

TEST_F(HttpTest, LetsASenderOfALargeBodySeeTheRefusal) {
  HttpOptions options;
  options.max_body_bytes = 1000;
  start(options);
  TestClient client(port());
  // Sent whole before the answer is read: an abrupt close would lose the answer.
  ASSERT_TRUE(client.send(post("/echo", std::string(20'000'000, 'x'))));
  const TestResponse response = client.receive();
  EXPECT_EQ(response.status, 413);
  EXPECT_EQ(response.headers.at("connection"), "close");
  EXPECT_EQ(parse_json(response.body, "body").at("error").at("param"), "body");
}

TEST_F(HttpTest, RefusesALargeChunkedBody) {
  HttpOptions options;
  options.max_body_bytes = 1000;
  start(options);
  const std::string head = "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string chunk = "100\r\n" + std::string(256, 'x') + "\r\n";
  EXPECT_EQ(once(head + chunk + chunk + chunk + "0\r\n\r\n").body.size(), 768u);
  EXPECT_EQ(once(head + chunk + chunk + chunk + chunk).status, 413);
}

TEST_F(HttpTest, RefusesMalformedRequestsAndGoesOn) {
  start();
  EXPECT_EQ(once("nonsense\r\n\r\n").status, 400);
  EXPECT_EQ(once(get("/hello", "X: " + std::string(40'000, 'a') + "\r\n")).status, 431);
  EXPECT_EQ(once(get("/hello")).status, 200);
}

TEST_F(HttpTest, LosesPatienceWithSlowSenders) {
  HttpOptions options;
  options.header_timeout = milliseconds(150);
  options.body_timeout = milliseconds(150);
  options.idle_timeout = milliseconds(150);
  start(options);
  EXPECT_EQ(once("GET /hello HT").status, 408);
  EXPECT_EQ(once("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n123").status, 408);
  // A byte now and then does not help.
  TestClient drip(port());
  drip.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n");
  const auto before = Time::now();
  while (drip.send("x") && ms_since(before) < 400) std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(drip.receive().status, 408);
  EXPECT_TRUE(TestClient(port()).closed());
}

TEST_F(HttpTest, StaysAliveWhileWorkersAreBusy) {
  start();
  std::vector<std::unique_ptr<TestClient>> waiting;
  for (int i = 0; i < 2; ++i) {
    waiting.push_back(std::make_unique<TestClient>(port()));
    waiting.back()->send(i == 0 ? get("/block") : get("/hello"));
  }
  std::promise<void> second_gate;
  pool_.post([&] { second_gate.get_future().wait(); });
  const auto before = Time::now();
  EXPECT_EQ(once(get("/alive")).body, "yes");
  EXPECT_LT(ms_since(before), 50);
  second_gate.set_value();
  gate_.set_value();
  for (auto& client : waiting) EXPECT_EQ(client->receive().status, 200);
}

TEST_F(HttpTest, NoticesClientsThatLeave) {
  start();
  TestClient client(port());
  client.send(get("/endless"));
  client.receive_until("begun");
  client.close();
  const auto before = Time::now();
  EXPECT_TRUE(told_gone());
  EXPECT_LT(ms_since(before), 500);
  EXPECT_TRUE(held_->disconnected());
}

TEST_F(HttpTest, NoticesClientsThatResetBehindPipelinedRequests) {
  start();
  TestClient client(port());
  client.send(get("/endless") + get("/hello"));
  client.receive_until("begun");
  client.reset();
  EXPECT_TRUE(told_gone());
}

TEST_F(HttpTest, AnswersClientsThatOnlyStopSending) {
  start();
  TestClient client(port());
  client.send(get("/hello"));
  client.shutdown_send();
  client.receive_until("\r\n\r\nhi");
}

// As `nc -N` and scripts do it: the answer takes its time, and the connection's other half is closed by then.
TEST_F(HttpTest, AnswersPostsOfClientsThatStopSendingHoweverLongItTakes) {
  start();
  TestClient client(port());
  client.send(post("/wait", "x"));
  client.shutdown_send();
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_FALSE(held_->disconnected());
  held_->respond({200, {}, "late"});
  EXPECT_NE(client.receive_until("late").find("HTTP/1.1 200 OK"), std::string::npos);
}

TEST_F(HttpTest, StreamsToClientsThatStopSending) {
  start();
  TestClient client(port());
  client.send(get("/kept-alive"));
  client.receive_until("begun");
  client.shutdown_send();
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_FALSE(held_->disconnected());
  client.close();
  EXPECT_TRUE(told_gone());
}

TEST_F(HttpTest, NoticesClientsThatLeaveBeforeAnythingIsAnswered) {
  start();
  TestClient client(port());
  client.send(post("/wait", "x"));
  std::this_thread::sleep_for(milliseconds(50));
  client.close();
  const auto before = Time::now();
  EXPECT_TRUE(told_gone());
  EXPECT_LT(ms_since(before), 500);
}

TEST_F(HttpTest, HoldsStreamsBackForSlowReaders) {
  start();
  TestClient client(port());
  client.send(get("/much"));
  std::this_thread::sleep_for(milliseconds(300));
  const int waiting = written_;
  EXPECT_LT(waiting, 50);  // what the sockets' buffers hold, of 200 MB
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_EQ(written_, waiting);
  EXPECT_EQ(client.receive().body.size(), 200u << 20);
}

TEST_F(HttpTest, DropsReadersThatNeverRead) {
  HttpOptions options;
  options.write_timeout = milliseconds(200);
  start(options);
  TestClient client(port());
  client.send(get("/much"));
  std::this_thread::sleep_for(milliseconds(600));
  EXPECT_FALSE(client.receive().complete);
}

TEST_F(HttpTest, ServesAHundredConnectionsAtOnce) {
  start();
  std::atomic<int> right = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 100; ++i)
    clients.emplace_back([&, i] {
      TestClient client(port());
      for (int k = 0; k < 10; ++k) {
        const std::string body = std::to_string(i * 100 + k);
        client.send(post("/echo", body));
        if (client.receive().body == body) ++right;
      }
    });
  for (auto& client : clients) client.join();
  EXPECT_EQ(right, 1000);
}

TEST_F(HttpTest, TellsClientsThatItIsFull) {
  HttpOptions options;
  options.max_connections = 2;
  start(options);
  TestClient first(port());
  TestClient second(port());
  for (TestClient* client : {&first, &second}) {
    client->send(
        "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    ASSERT_EQ(client->receive().status, 100);
  }
  const TestResponse refused = once(get("/hello"));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.headers.at("retry-after"), "1");
  first.close();
  int status = 0;
  for (int tries = 0; tries < 100 && status != 200; ++tries) {
    std::this_thread::sleep_for(milliseconds(10));
    status = once(get("/hello")).status;
  }
  EXPECT_EQ(status, 200);
  second.send("body");
  EXPECT_EQ(second.receive().body, "body");
}

TEST_F(HttpTest, WhereItIsFullWhoWaitsLongestGoes) {
  HttpOptions options;
  options.max_connections = 2;
  start(options);
  TestClient idle(port());
  idle.send(get("/hello"));
  EXPECT_EQ(idle.receive().status, 200);
  std::this_thread::sleep_for(
      milliseconds(50));  // the server has to learn that its answer has left
  TestClient slow(port());
  slow.send("GET /hello HTTP/1.1\r\nHost:");
  EXPECT_EQ(once(get("/hello")).status, 200);
  EXPECT_TRUE(idle.closed());
  std::this_thread::sleep_for(milliseconds(50));  // and that this one has left
  EXPECT_EQ(once(get("/hello")).status, 200);
  slow.send(" h\r\n\r\n");
  EXPECT_EQ(slow.receive().status, 200);
}

TEST_F(HttpTest, AnAddressHasOnlySoManyHeadersOnTheirWay) {
  HttpOptions options;
  options.max_headers_per_address = 2;
  start(options);
  TestClient working(port());
  working.send(get("/endless"));
  EXPECT_EQ(working.receive_until("\r\n\r\n").substr(0, 15), "HTTP/1.1 200 OK");
  TestClient oldest(port()), older(port());
  older.send("GET ");
  TestClient newest(port());
  EXPECT_TRUE(oldest.closed());
  older.send("/hello HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(older.receive().status, 200);
  newest.send(get("/hello"));
  EXPECT_EQ(newest.receive().status, 200);
  working.close();
  gone_.get_future().wait();
}

TEST_F(HttpTest, WhoIsRefusedAndGoesOnSendingIsCut) {
  HttpOptions options;
  options.max_body_bytes = 1000;
  start(options);
  TestClient client(port());
  const auto before = Time::now();
  client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n");
  EXPECT_EQ(client.receive().status, 413);
  const std::string piece(1000, 'x');
  while (client.send(piece) && ms_since(before) < 10'000)
    std::this_thread::sleep_for(milliseconds(20));
  EXPECT_LT(ms_since(before), 3000);
}

TEST_F(HttpTest, TakesBodiesOfJsonOnly) {
  start();
  const auto status = [&](const std::string& type) {
    return once("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n" + type + "\r\n{}").status;
  };
  for (const char* type : {"", "Content-Type: application/json\r\n",
                           "content-type: Application/JSON ; charset=utf-8\r\n",
                           "Content-Type: application/vnd.api+json\r\n"})
    EXPECT_EQ(status(type), 200) << type;
  // What pages may send anywhere without asking.
  for (const char* type :
       {"text/plain", "text/plain;application/json", "multipart/form-data; boundary=b",
        "application/x-www-form-urlencoded", "application/jsonx"})
    EXPECT_EQ(status(std::string("Content-Type: ") + type + "\r\n"), 415) << type;
}

TEST_F(HttpTest, FinishesWhatRunsBeforeItStops) {
  start();
  TestClient idle(port());
  idle.send(get("/hello"));
  idle.receive();
  TestClient streaming(port());
  streaming.send(get("/endless"));
  streaming.receive_until("begun");
  server_->shutdown(std::chrono::seconds(10));
  EXPECT_TRUE(idle.closed());
  EXPECT_ANY_THROW(TestClient refused(port()));
  {
    std::lock_guard lock(mutex_);
    held_->write(", ended", {});
    held_->finish();
  }
  EXPECT_NE(streaming.receive_until("0\r\n\r\n").find(", ended"), std::string::npos);
  server_->wait();
}

TEST_F(HttpTest, CutsOffWhatDoesNotEnd) {
  start();
  TestClient streaming(port());
  streaming.send(get("/endless"));
  streaming.receive_until("begun");
  const auto before = Time::now();
  server_->shutdown(milliseconds(200));
  server_->wait();
  EXPECT_GE(ms_since(before), 150);
  EXPECT_LT(ms_since(before), 2000);
  EXPECT_TRUE(told_gone());
  EXPECT_FALSE(server_->wait_for_handlers(milliseconds(10)));
  held_->write("late", {});  // nobody is left to send it, and nothing breaks
  held_->finish();
  held_.reset();
  EXPECT_TRUE(server_->wait_for_handlers(milliseconds(1000)));
}

TEST_F(HttpTest, SaysWhyItCannotListen) {
  start();
  HttpOptions options;
  options.port = port();
  try {
    HttpServer(options, pool_);
    FAIL() << "two servers on one port";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(std::to_string(port())), std::string::npos);
  }
  options.host = "no.such.host.invalid";
  EXPECT_THROW(HttpServer(options, pool_), Error);
}

}  // namespace
}  // namespace pippin::server
