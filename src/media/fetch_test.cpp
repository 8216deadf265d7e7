// Runs against a small HTTP server on loopback, inside the test; nothing leaves the machine.
#include "media/fetch.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "base/failing_memory_testing.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

std::string response(const std::string& status, const std::string& headers,
                     const std::string& body) {
  return "HTTP/1.1 " + status + "\r\nConnection: close\r\n" + headers + "\r\n" + body;
}

std::string with_length(const std::string& body) {
  return response("200 OK", "Content-Length: " + std::to_string(body.size()) + "\r\n", body);
}

// Answers one request a connection, one connection at a time, on a thread of its own until destroyed.
class LoopbackServer {
 public:
  LoopbackServer() {
    std::signal(SIGPIPE, SIG_IGN);  // clients hang up in the middle, on purpose
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_, generic, size), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    EXPECT_EQ(::getsockname(listener_, generic, &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~LoopbackServer() {
    stopping_ = true;
    thread_.join();
    ::close(listener_);
  }

  std::string url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  int num_requests() const { return num_requests_; }

 private:
  static bool readable(int socket, int timeout_ms) {
    pollfd wait{socket, POLLIN, 0};
    return ::poll(&wait, 1, timeout_ms) == 1;
  }

  void serve() {
    FailingMemory::spare_this_thread();
    while (!stopping_) {
      if (!readable(listener_, 20)) continue;
      const int client = ::accept(listener_, nullptr, nullptr);
      if (client < 0) continue;
      ++num_requests_;
      answer(client, read_path(client));
      ::close(client);
    }
  }

  static std::string read_path(int client) {
    std::string request;
    char buffer[1024];
    while (request.find("\r\n\r\n") == std::string::npos && readable(client, 1000)) {
      const ssize_t size = ::recv(client, buffer, sizeof(buffer), 0);
      if (size <= 0) break;
      request.append(buffer, static_cast<std::size_t>(size));
    }
    const std::size_t start = request.find(' ') + 1;
    return request.substr(start, request.find(' ', start) - start);
  }

  void answer(int client, const std::string& path) {
    const auto redirect = [](const std::string& to) {
      return response("302 Found", "Location: " + to + "\r\nContent-Length: 0\r\n", "");
    };
    if (path == "/picture") send(client, with_length("pixels"));
    if (path == "/missing")
      send(client, response("404 Not Found", "Content-Length: 4\r\n", "none"));
    if (path == "/1") send(client, redirect("/picture"));
    if (path == "/2") send(client, redirect("/1"));
    if (path == "/3") send(client, redirect("/2"));
    if (path == "/4") send(client, redirect("/3"));
    if (path == "/nowhere") send(client, response("302 Found", "Content-Length: 0\r\n", ""));
    if (path == "/to-file") send(client, redirect("file:///etc/hostname"));
    if (path == "/to-other")
      send(client, redirect("http://127.0.0.2:" + std::to_string(port_) + "/picture"));
    if (path == "/to-user")
      send(client, redirect("http://me:pw@127.0.0.1:" + std::to_string(port_) + "/picture"));
    if (path == "/announced") send(client, response("200 OK", "Content-Length: 5000000\r\n", ""));
    if (path == "/cut") send(client, response("200 OK", "Content-Length: 100\r\n", "only this"));
    if (path == "/exact") send(client, with_length(std::string(1000, 'x')));
    if (path == "/endless") send_endlessly(client);
    if (path == "/slow") {
      send(client, response("200 OK", "Content-Length: 10\r\n", "p"));
      readable(client, 3000);  // until the client gives up
    }
  }

  static bool send(int client, const std::string& text) {
    return ::send(client, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
  }

  void send_endlessly(int client) {
    send(client, response("200 OK", "", ""));
    const std::string piece(500, 'x');
    for (int i = 0; i < 100000 && !stopping_; ++i) {
      if (!send(client, piece)) return;
    }
  }

  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> num_requests_ = 0;
  std::thread thread_;
};

class Fetch : public testing::Test {
 protected:
  static FetchOptions options() {
    FetchOptions options;
    options.allow_private_networks = true;
    options.total_timeout = std::chrono::milliseconds(5000);
    return options;
  }

  static std::string text_of(const MediaFetcher& fetcher, const std::string& url) {
    const std::vector<std::uint8_t> bytes = fetcher.fetch(url, 1000);
    return {bytes.begin(), bytes.end()};
  }
  std::string fetch(const std::string& path) const { return text_of(fetcher_, server_.url(path)); }

  static std::string refusal(const MediaFetcher& fetcher, const std::string& url,
                             Code code = Code::invalid_argument) {
    try {
      fetcher.fetch(url, 1000);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_EQ(error.field(), "");
      return error.what();
    }
    ADD_FAILURE() << "expected an Error for " << url;
    return "";
  }
  std::string refusal(const std::string& path) const {
    return refusal(fetcher_, server_.url(path));
  }

  LoopbackServer server_;
  MediaFetcher fetcher_{options()};
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(Fetch, ReadsHttp) {
  EXPECT_EQ(fetch("/picture"), "pixels");
  std::string url = server_.url("/picture");
  url.replace(0, 4, "HTTP");
  EXPECT_EQ(text_of(fetcher_, url), "pixels");
}

TEST_F(Fetch, FollowsThreeRedirectsAtMost) {
  EXPECT_EQ(fetch("/3"), "pixels");
  EXPECT_EQ(server_.num_requests(), 4);
  EXPECT_TRUE(contains(refusal("/4"), "redirects"));
}

TEST_F(Fetch, NamesTheRemotesStatus) {
  EXPECT_TRUE(contains(refusal("/missing"), "status 404"));
  EXPECT_TRUE(contains(refusal("/nowhere"), "status 302"));
}

TEST_F(Fetch, HoldsTheLimitWhileReading) {
  EXPECT_EQ(fetch("/exact").size(), 1000u);
  EXPECT_TRUE(
      contains(refusal(fetcher_, server_.url("/announced"), Code::payload_too_large), "1000"));
  EXPECT_TRUE(
      contains(refusal(fetcher_, server_.url("/endless"), Code::payload_too_large), "1000"));
}

TEST_F(Fetch, RefusesACutAnswer) { refusal("/cut"); }

TEST_F(Fetch, GivesUpInTime) {
  FetchOptions hasty = options();
  hasty.total_timeout = std::chrono::milliseconds(200);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(contains(refusal(MediaFetcher(hasty), server_.url("/slow")), "timed out"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

TEST_F(Fetch, RefusesAddressesThatAreNotPublic) {
  FetchOptions careful = options();
  careful.allow_private_networks = false;
  const MediaFetcher fetcher(careful);
  const std::string port = server_.url("").substr(std::string("http://127.0.0.1").size());
  for (const char* host :
       {"127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]",
        "169.254.169.254", "10.0.0.1", "192.168.0.1", "[fe80::1]", "[fd00::1]"}) {
    const std::string url = std::string("http://") + host + port + "/picture";
    EXPECT_TRUE(contains(refusal(fetcher, url), "public internet")) << url;
  }
  EXPECT_EQ(server_.num_requests(), 0);
}

TEST_F(Fetch, ChecksEveryHop) {
  const MediaFetcher first_only(options(), [](const sockaddr& address) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return address.sa_family == AF_INET && v4.sin_addr.s_addr == htonl(INADDR_LOOPBACK);
  });
  EXPECT_EQ(text_of(first_only, server_.url("/1")), "pixels");
  EXPECT_TRUE(contains(refusal(first_only, server_.url("/to-other")), "public internet"));
  refusal("/to-file");
  refusal("/to-user");
}

TEST_F(Fetch, IgnoresProxiesOfTheEnvironment) {
  setenv("http_proxy", "http://127.0.0.1:9", 1);
  setenv("all_proxy", "http://127.0.0.1:9", 1);
  EXPECT_EQ(fetch("/picture"), "pixels");
  FetchOptions proxied = options();
  proxied.use_environment_proxy = true;
  refusal(MediaFetcher(proxied), server_.url("/picture"));
  unsetenv("http_proxy");
  unsetenv("all_proxy");
}

TEST_F(Fetch, RefusesOtherUrls) {
  EXPECT_TRUE(contains(refusal(fetcher_, "ftp://example.com/a.png"), "only data:"));
  EXPECT_TRUE(contains(refusal(fetcher_, "gopher://example.com/"), "only data:"));
  EXPECT_TRUE(contains(refusal(fetcher_, "http://me:secret@127.0.0.1/a.png"), "credentials"));
  EXPECT_FALSE(contains(refusal(fetcher_, "http://me:secret@127.0.0.1/a.png"), "secret"));
  EXPECT_TRUE(contains(refusal(fetcher_, "http://"), "malformed"));
  EXPECT_TRUE(contains(refusal(fetcher_, "http://a b/"), "malformed"));
  EXPECT_TRUE(contains(refusal(fetcher_, std::string("http://a\0b/", 11)), "control"));
  EXPECT_TRUE(contains(refusal(fetcher_, "cat.png"), "media root"));
  EXPECT_TRUE(contains(refusal(fetcher_, ""), "media root"));
  const std::string bare(64, 'A');
  EXPECT_TRUE(contains(refusal(fetcher_, bare), "data:image/png;base64,"));
  EXPECT_TRUE(contains(refusal(fetcher_, "/9j/" + bare), "data:image/png;base64,"));
}

TEST_F(Fetch, ErrorsQuoteLittleOfALongUrl) {
  std::string url = server_.url("/missing?");
  for (int i = 0; i < 500; ++i) url += "\xC3\xA9";
  const std::string message = refusal(fetcher_, url);
  EXPECT_LT(message.size(), 400u);
}

// Starts a fetch and keeps what comes of it.
class Started {
 public:
  Started(const MediaFetcher& fetcher, const std::string& url, std::function<bool()> wanted = {}) {
    fetcher.start({"owner", ""}, url, 1000, std::move(wanted),
                  [this](MediaFetcher::Result result) { promise_.set_value(std::move(result)); });
  }
  MediaFetcher::Result wait() { return future_.get(); }
  bool done() { return future_.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }
  Code error() {
    try {
      std::rethrow_exception(std::get<std::exception_ptr>(wait()));
    } catch (const Error& error) {
      return error.code();
    }
  }

 private:
  std::promise<MediaFetcher::Result> promise_;
  std::future<MediaFetcher::Result> future_ = promise_.get_future();
};

TEST_F(Fetch, EndsSoonWhenNobodyWaits) {
  std::atomic<bool> wanted = true;
  Started slow(fetcher_, server_.url("/slow"), [&] { return wanted.load(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(slow.done());
  EXPECT_EQ(fetcher_.stats().running, 1);
  const auto start = std::chrono::steady_clock::now();
  wanted = false;
  EXPECT_EQ(slow.error(), Code::cancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  EXPECT_EQ(fetcher_.stats().running, 0);
}

TEST_F(Fetch, RunsAsManyAtOnceAsItMay) {
  FetchOptions few = options();
  few.max_at_once = 1;
  const MediaFetcher fetcher(few);
  std::atomic<bool> wanted = true;
  Started slow(fetcher, server_.url("/slow"), [&] { return wanted.load(); });
  Started next(fetcher, server_.url("/picture"));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(fetcher.stats().running, 1);
  EXPECT_EQ(fetcher.stats().waiting, 1);
  wanted = false;
  EXPECT_EQ(std::get<Fetched>(next.wait()).bytes.size(), 6u);
  EXPECT_EQ(slow.error(), Code::cancelled);
}

TEST_F(Fetch, CountsTheBytesThatItHolds) {
  FetchOptions small = options();
  small.max_held_bytes = 1500;
  const MediaFetcher fetcher(small);
  {
    const auto first = Started(fetcher, server_.url("/exact")).wait();
    EXPECT_EQ(fetcher.stats().held_bytes, 1000);
    EXPECT_EQ(Started(fetcher, server_.url("/exact")).error(), Code::unavailable);
  }
  EXPECT_EQ(fetcher.stats().held_bytes, 0);
  EXPECT_EQ(std::get<Fetched>(Started(fetcher, server_.url("/exact")).wait()).bytes.size(), 1000u);
}

// Its owner's name takes memory, too.
const Client long_client{"an owner whose name is longer than a string holds in itself", "1"};

TEST_F(Fetch, WithoutMemoryEachEndsAndOthersGoOn) {
  int fetched = 0, failed = 0;
  const auto count = for_each_allocation([&](std::int64_t number) {
    std::promise<MediaFetcher::Result> promise;
    const std::string url = server_.url("/picture");
    bool missing = false;
    MediaFetcher::Result result;
    {
      const FailingMemory memory(number, FailingMemory::Of::other_threads);
      fetcher_.start(
          long_client, url, 1000, [] { return true; },
          [&](MediaFetcher::Result end) { promise.set_value(std::move(end)); });
      result = promise.get_future().get();
      missing = memory.has_failed();
    }
    if (const auto* got = std::get_if<Fetched>(&result)) {
      EXPECT_EQ(got->bytes.size(), 6u);
      ++fetched;
    } else {
      EXPECT_THROW(std::rethrow_exception(std::get<std::exception_ptr>(result)), std::bad_alloc);
      ++failed;
    }
    result = {};
    EXPECT_EQ(fetcher_.stats().running + fetcher_.stats().waiting, 0);
    EXPECT_EQ(fetcher_.stats().held_bytes, 0);
    EXPECT_EQ(fetch("/picture"), "pixels");
    return missing;
  });
  EXPECT_GE(count, 2);
  EXPECT_GE(failed, 2) << "the transfer's place and its body, at least";
  EXPECT_GE(fetched, 1);
}

TEST_F(Fetch, WithoutMemoryWhoNobodyWaitsForStillEnds) {
  const auto count = for_each_allocation([&](std::int64_t number) {
    std::atomic<bool> wanted = true;
    std::promise<MediaFetcher::Result> promise;
    fetcher_.start(
        long_client, server_.url("/slow"), 1000, [&] { return wanted.load(); },
        [&](MediaFetcher::Result end) { promise.set_value(std::move(end)); });
    while (fetcher_.stats().running == 0) std::this_thread::yield();
    const FailingMemory memory(number, FailingMemory::Of::other_threads);
    wanted = false;
    EXPECT_TRUE(std::holds_alternative<std::exception_ptr>(promise.get_future().get()));
    EXPECT_EQ(fetcher_.stats().running, 0);
    return memory.has_failed();
  });
  EXPECT_GE(count, 1);
}

TEST_F(Fetch, DropsWhatRunsWhenItIsDestroyed) {
  auto fetcher = std::make_unique<MediaFetcher>(options());
  bool told = false;
  fetcher->start({}, server_.url("/slow"), 1000, {}, [&](MediaFetcher::Result) { told = true; });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  fetcher.reset();
  EXPECT_FALSE(told);
}

TEST_F(Fetch, ReadsDataUrlsAndLocalFiles) {
  EXPECT_EQ(text_of(fetcher_, "data:image/png;base64,cGl4ZWxz"), "pixels");
  std::string folder = testing::TempDir() + "pippin_fetch_XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  std::ofstream(folder + "/cat.png") << "cat";
  FetchOptions local = options();
  local.media_root = folder;
  EXPECT_EQ(text_of(MediaFetcher(local), "cat.png"), "cat");
  EXPECT_EQ(text_of(MediaFetcher(local), "file://" + folder + "/cat.png"), "cat");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace pippin::media
