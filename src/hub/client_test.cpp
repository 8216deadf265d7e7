#include "hub/client.h"

#include <utility>

#include "hub/testing.h"
#include "hub/url.h"

namespace pippin::hub {
namespace {

const std::string api = std::string(test_endpoint) + "/api/models/o/n";
const std::string sha256(64, 'b'), sha1(40, 'c');

class ClientTest : public HubTest {
 protected:
  Client client() { return {settings_, hub_.factory()(), pause()}; }
  std::string refusal(PlayedAnswer answer) {
    hub_.add(api + "/revision/main", std::move(answer));
    Client client = this->client();
    return error_of([&] { client.commit_of({"o/n"}); });
  }

  PlayedHub hub_;
};

TEST_F(ClientTest, ARevisionIsACommit) {
  hub_.add(api + "/revision/refs%2Fpr%2F1", {200, {}, R"({"sha": ")" + test_commit + R"("})"});
  EXPECT_EQ(client().commit_of({"o/n", "refs/pr/1"}), test_commit);
  for (const char* body : {"{}", "[]", "x", R"({"sha": "../../../x"})", R"({"sha": 1})"}) {
    PlayedHub other;
    other.add(api + "/revision/main", {200, {}, body});
    Client client(settings_, other.factory()(), pause());
    EXPECT_THROW(client.commit_of({"o/n"}), Error) << body;
  }
}

TEST_F(ClientTest, FilesComeInPages) {
  const std::string url = api + "/tree/" + test_commit + "?recursive=true";
  const std::string next = url + "&cursor=2";
  hub_.add(url, {200,
                 {{"link", "<" + next + ">; rel=\"next\""}},
                 R"([{"type": "directory", "path": "d", "oid": "x"},
                     {"type": "file", "path": "a", "size": 3, "oid": ")" +
                     sha1 + R"("}])"});
  hub_.add(next, {200,
                  {},
                  R"([{"type": "file", "path": "b", "size": 130, "oid": ")" + sha1 +
                      R"(", "lfs": {"oid": ")" + sha256 +
                      R"(", "size": 5, "pointerSize": 130}, "xetHash": "e"}])"});
  const auto files = client().files_of("o/n", test_commit);
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].path + files[0].hash, "a" + sha1);
  EXPECT_EQ(files[1].path + files[1].hash, "b" + sha256);
  EXPECT_EQ(files[1].size, 5);
}

TEST_F(ClientTest, AListOfNonsenseIsRefused) {
  for (const char* body :
       {"{}", "[1]", R"([{"path": "a", "size": 1, "oid": "../x"}])",
        R"([{"path": "a", "size": -1, "oid": "cccccccccccccccccccccccccccccccccccccccc"}])",
        R"([{"path": "a", "size": 1, "oid": "cccccccccccccccccccccccccccccccccccccccc",
             "lfs": {"size": 1, "oid": "c"}}])"}) {
    PlayedHub other;
    other.add(api + "/tree/" + test_commit + "?recursive=true", {200, {}, body});
    Client client(settings_, other.factory()(), pause());
    EXPECT_THROW(client.files_of("o/n", test_commit), Error) << body;
  }
  hub_.add(api + "/tree/" + test_commit + "?recursive=true",
           {200, {{"link", "<http://elsewhere.test/x>; rel=\"next\""}}, "[]"});
  Client client = this->client();
  EXPECT_THROW(client.files_of("o/n", test_commit), Error);
}

TEST_F(ClientTest, TheTokenStaysWithTheHub) {
  settings_.token = "secret";
  const std::string file = std::string(test_endpoint) + "/o/n/resolve/" + test_commit + "/a%20b";
  hub_.add(file, {307, {{"location", "/renamed"}}});
  hub_.add(std::string(test_endpoint) + "/renamed", {302, {{"location", "http://cdn.test/x"}}});
  hub_.add("http://cdn.test/x", {302, {{"location", "http://hub.test:81/x"}}});
  hub_.add("http://hub.test:81/x", {200, {}, "body"});
  std::string body;
  client().get_file("o/n", test_commit, "a b", 7, {},
                    [&](const Head&, std::string_view bytes) { body += bytes; });
  EXPECT_EQ(body, "body");
  const auto requests = hub_.requests();
  ASSERT_EQ(requests.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(requests[i].token, i < 2 ? "secret" : "") << i;
    EXPECT_EQ(requests[i].from, 7);
  }
}

TEST_F(ClientTest, RedirectsEnd) {
  const std::string file = std::string(test_endpoint) + "/o/n/resolve/" + test_commit + "/a";
  hub_.add(file, {302, {{"location", file}}});
  const auto get = [&] { client().get_file("o/n", test_commit, "a", 0, {}, {}); };
  EXPECT_NE(error_of(get).find("redirects"), std::string::npos);
  for (const char* location : {"", "file:///etc/passwd", "gopher://x"}) {
    PlayedHub other;
    other.add(file, {302, {{"location", location}}});
    Client client(settings_, other.factory()(), pause());
    EXPECT_THROW(client.get_file("o/n", test_commit, "a", 0, {}, {}), Error) << location;
  }
}

TEST_F(ClientTest, StatusesSayWhatToDo) {
  EXPECT_NE(refusal({403, {{"x-error-code", "GatedRepo"}}}).find("http://hub.test/o/n"),
            std::string::npos);
}

TEST_F(ClientTest, WhatIsNotThereIsSaid) {
  const std::string gone = refusal({404, {{"x-error-code", "RepoNotFound"}}});
  EXPECT_NE(gone.find("has no model o/n"), std::string::npos);
  EXPECT_NE(gone.find("HF_TOKEN"), std::string::npos);
}

TEST_F(ClientTest, LaterIsTriedLater) {
  hub_.add(api + "/revision/main", {429, {{"retry-after", "7"}}});
  hub_.add(api + "/revision/main", {503, {}});
  hub_.add(api + "/revision/main", {429, {{"ratelimit", "\"api\";r=0;t=55"}}});
  hub_.add(api + "/revision/main", {200, {}, R"({"sha": ")" + test_commit + R"("})"});
  EXPECT_EQ(client().commit_of({"o/n"}), test_commit);
  EXPECT_EQ(pauses_, (std::vector<std::int64_t>{7000, 2000, 55000}));
}

TEST_F(ClientTest, ButNotForEver) {
  EXPECT_NE(refusal({503, {{"x-error-message", "down\x1b[2J"}}}).find("503: down?[2J"),
            std::string::npos);
  EXPECT_EQ(pauses_.size(), 4u);
  EXPECT_EQ(time_to_wait({429, {{"retry-after", "99999"}}}, 0), std::chrono::seconds(120));
}

TEST(HubUrl, IsReadAndWritten) {
  EXPECT_EQ(origin_of("https://h/x"), "https://h:443");
  EXPECT_EQ(origin_of("http://h:8/x"), "http://h:8");
  EXPECT_EQ(origin_of("file:///x"), "");
  EXPECT_EQ(resolve_url("http://h/a/b", "/c"), "http://h/c");
  EXPECT_EQ(resolve_url("http://h/a", "https://i/c"), "https://i/c");
  EXPECT_EQ(percent_encoded("a b/\xC3\xA9?", "/"), "a%20b/%C3%A9%3F");
}

}  // namespace
}  // namespace pippin::hub
