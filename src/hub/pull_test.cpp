#include "hub/pull.h"

#include <openssl/evp.h>

#include <cstdio>
#include <utility>

#include "hub/cache.h"
#include "hub/testing.h"

namespace pippin::hub {
namespace {

namespace fs = std::filesystem;

const std::string base = test_endpoint;

std::string sha256(const std::string& text) {
  unsigned char digest[32];
  EVP_Digest(text.data(), text.size(), digest, nullptr, EVP_sha256(), nullptr);
  std::string hex;
  for (const unsigned char byte : digest) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", byte);
    hex += digits;
  }
  return hex;
}

class PullTest : public HubTest {
 protected:
  void SetUp() override {
    HubTest::SetUp();
    add_commit();
    add_file("config.json", R"({"model_type": "qwen3"})");
    add_file("tokenizer.json", "{}");
  }

  void add_commit() {
    hub_.add(base + "/api/models/o/n/revision/main",
             {200, {}, R"({"sha": ")" + test_commit + R"("})"});
  }
  static std::string url_of(const std::string& path) {
    return base + "/o/n/resolve/" + test_commit + "/" + path;
  }
  // In the list alone.
  void list_file(const std::string& path, const std::string& content) {
    list_ += (list_.empty() ? "" : ", ") + std::string(R"({"type": "file", "path": ")") + path +
             R"(", "size": )" + std::to_string(content.size()) + R"(, "oid": ")" +
             std::string(40, '0') + R"(", "lfs": {"oid": ")" + sha256(content) + R"(", "size": )" +
             std::to_string(content.size()) + "}}";
  }
  void add_file(const std::string& path, const std::string& content) {
    list_file(path, content);
    hub_.add(url_of(path), {200, {}, content});
  }

  fs::path pull(const std::string& quantization = "") {
    hub_.add(base + "/api/models/o/n/tree/" + test_commit + "?recursive=true",
             {200, {}, "[" + list_ + "]"});
    PullOptions options;
    options.http = hub_.factory();
    options.screen = {false, [](const std::string&) {}, [] {}};
    options.download.pause = pause();
    options.on_offer = [this](const Offer& offer) {
      offers_.push_back(offer);
      if (refuse_) throw Error(Code::invalid_argument, "too large");
    };
    return find_or_pull({"o/n", "main", quantization}, settings_, options);
  }
  std::string failure() {
    return error_of([&] { pull(); });
  }
  std::vector<std::int64_t> asked_from(const std::string& path) const {
    std::vector<std::int64_t> from;
    for (const Request& request : hub_.requests())
      if (request.url == url_of(path)) from.push_back(request.from);
    return from;
  }
  fs::path partial(const std::string& content) const {
    return CachedRepo(settings_.cache, "o/n").blob(sha256(content) + ".incomplete");
  }

  using From = std::vector<std::int64_t>;

  PlayedHub hub_;
  std::string list_;
  std::vector<Offer> offers_;
  bool refuse_ = false;
};

TEST_F(PullTest, FetchesWhatAModelNeedsOnce) {
  add_file("model.safetensors", "weights");
  add_file("README.md", "never asked for");
  const fs::path dir = pull();
  EXPECT_EQ(dir, CachedRepo(settings_.cache, "o/n").snapshot(test_commit));
  EXPECT_EQ(content_of(dir / "model.safetensors"), "weights");
  EXPECT_FALSE(fs::exists(dir / "README.md"));
  ASSERT_EQ(offers_.size(), 1u);
  EXPECT_EQ(offers_[0].weight_bytes, 7);
  EXPECT_EQ(offers_[0].missing_bytes, 7);
  const auto asked = hub_.requests().size();
  EXPECT_EQ(pull(), dir);
  EXPECT_EQ(hub_.requests().size(), asked) << "a whole model asks nobody";
}

TEST_F(PullTest, AGgufFileIsTheModel) {
  add_file("N-Q4_K_M.gguf", "four");
  add_file("Q8_0/N-Q8_0-00001-of-00002.gguf", "eight");
  add_file("Q8_0/N-Q8_0-00002-of-00002.gguf", "bits");
  const fs::path snapshot = CachedRepo(settings_.cache, "o/n").snapshot(test_commit);
  EXPECT_EQ(pull(), snapshot / "N-Q4_K_M.gguf");
  EXPECT_FALSE(fs::exists(snapshot / "tokenizer.json")) << "the file has its own";
  EXPECT_EQ(offers_.back().weight_bytes, 4);
  EXPECT_EQ(pull("q8_0"), snapshot / "Q8_0" / "N-Q8_0-00001-of-00002.gguf");
  EXPECT_EQ(content_of(snapshot / "Q8_0" / "N-Q8_0-00002-of-00002.gguf"), "bits");
  EXPECT_EQ(offers_.back().weight_bytes, 9);
  const auto asked = hub_.requests().size();
  EXPECT_EQ(pull("Q8_0"), snapshot / "Q8_0" / "N-Q8_0-00001-of-00002.gguf");
  EXPECT_EQ(pull(), snapshot / "N-Q4_K_M.gguf");
  EXPECT_EQ(hub_.requests().size(), asked) << "whole models ask nobody";
  EXPECT_EQ(error_of([&] { pull("Q5_0"); }), "o/n has no GGUF file 'Q5_0'; it has: Q4_K_M, Q8_0");
  EXPECT_TRUE(list_models(settings_.cache).at(0).whole);
  fs::remove(snapshot / "Q8_0" / "N-Q8_0-00002-of-00002.gguf");
  EXPECT_FALSE(find_snapshot(settings_.cache, {"o/n", "main", "Q8_0"})) << "a part is missing";
}

TEST_F(PullTest, ARefusedOfferFetchesNoWeights) {
  add_file("model.safetensors", "weights");
  refuse_ = true;
  EXPECT_EQ(failure(), "too large");
  EXPECT_TRUE(asked_from("model.safetensors").empty());
}

TEST_F(PullTest, ShardsAreTheIndexs) {
  add_file("model.safetensors.index.json",
           R"({"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}})");
  for (const char* name : {"a.safetensors", "b.safetensors", "consolidated.safetensors"})
    add_file(name, name);
  const fs::path dir = pull();
  EXPECT_EQ(content_of(dir / "b.safetensors"), "b.safetensors");
  EXPECT_FALSE(fs::exists(dir / "consolidated.safetensors"));
}

TEST_F(PullTest, ACutConnectionGoesOnByRange) {
  list_file("model.safetensors", "0123456789");
  hub_.add(url_of("model.safetensors"), {200, {}, "0123", true});
  hub_.add(url_of("model.safetensors"), {206, {{"content-range", "bytes 4-9/10"}}, "456", true});
  hub_.add(url_of("model.safetensors"), {206, {{"content-range", "bytes 7-9/10"}}, "789"});
  EXPECT_EQ(content_of(pull() / "model.safetensors"), "0123456789");
  EXPECT_EQ(asked_from("model.safetensors"), (From{0, 4, 7}));
  EXPECT_TRUE(pauses_.empty());
}

TEST_F(PullTest, AServerWithoutRangesBeginsAnew) {
  list_file("model.safetensors", "0123456789");
  hub_.add(url_of("model.safetensors"), {200, {}, "0123", true});
  hub_.add(url_of("model.safetensors"), {200, {}, "0123456789"});
  EXPECT_EQ(content_of(pull() / "model.safetensors"), "0123456789");
}

TEST_F(PullTest, AnotherProcesssPartIsGoneOnWith) {
  list_file("model.safetensors", "0123456789");
  fs::create_directories(partial("").parent_path());
  std::ofstream(partial("0123456789")) << "01234";
  hub_.add(url_of("model.safetensors"), {206, {{"content-range", "bytes 5-9/10"}}, "56789"});
  EXPECT_EQ(content_of(pull() / "model.safetensors"), "0123456789");
  EXPECT_EQ(asked_from("model.safetensors"), From{5});
}

TEST_F(PullTest, AWrongPartIsFetchedAnew) {
  list_file("model.safetensors", "0123456789");
  fs::create_directories(partial("").parent_path());
  std::ofstream(partial("0123456789")) << "xxxxx and more than it has";
  hub_.add(url_of("model.safetensors"), {200, {}, "0123456789"});
  EXPECT_EQ(content_of(pull() / "model.safetensors"), "0123456789");
  EXPECT_FALSE(fs::exists(partial("0123456789")));
}

TEST_F(PullTest, APartThatIsALinkIsNotFollowed) {
  list_file("model.safetensors", "0123456789");
  fs::create_directories(partial("").parent_path());
  std::ofstream(settings_.cache / "victim") << "precious";
  fs::create_symlink(settings_.cache / "victim", partial("0123456789"));
  hub_.add(url_of("model.safetensors"), {200, {}, "0123456789"});
  EXPECT_EQ(content_of(pull() / "model.safetensors"), "0123456789");
  EXPECT_EQ(content_of(settings_.cache / "victim"), "precious");
}

TEST_F(PullTest, AWrongHashIsNoFile) {
  list_file("model.safetensors", "0123456789");
  hub_.add(url_of("model.safetensors"), {200, {}, "012345678x"});
  EXPECT_NE(failure().find("another hash"), std::string::npos);
  EXPECT_EQ(asked_from("model.safetensors").size(), 2u);
  EXPECT_FALSE(find_snapshot(settings_.cache, {"o/n"}));
  EXPECT_EQ(fs::file_size(partial("0123456789")), 0u);
}

TEST_F(PullTest, AWrongSizeIsSeenAtOnce) {
  list_file("model.safetensors", "0123456789");
  const std::vector<PlayedAnswer> answers = {
      {200, {{"content-length", "11"}}, "0"},
      {200, {}, "0123456789x"},
      {302, {{"location", "/x"}, {"x-linked-size", "9"}}},
      {302, {{"location", "/x"}, {"x-linked-etag", "\"" + std::string(64, '0') + "\""}}},
      {200, {{"x-repo-commit", std::string(40, '0')}}, "0123456789"},
      {206, {{"content-range", "bytes 1-9/10"}}, "123456789"},
  };
  for (const PlayedAnswer& answer : answers) {
    PlayedHub other;
    other.add(url_of("model.safetensors"), answer);
    for (const char* path : {"config.json", "tokenizer.json"})
      other.add(url_of(path), {200, {}, path[0] == 'c' ? R"({"model_type": "qwen3"})" : "{}"});
    other.add(base + "/api/models/o/n/revision/main",
              {200, {}, R"({"sha": ")" + test_commit + R"("})"});
    other.add(base + "/api/models/o/n/tree/" + test_commit + "?recursive=true",
              {200, {}, "[" + list_ + "]"});
    PullOptions options;
    options.http = other.factory();
    options.screen = {false, [](const std::string&) {}, [] {}};
    options.download.pause = pause();
    EXPECT_NE(error_of([&] { pull_model({"o/n"}, settings_, options); }), "") << answer.body;
    EXPECT_TRUE(pauses_.empty()) << answer.body;
    EXPECT_LE(fs::file_size(partial("0123456789")), 0u) << answer.body;
  }
}

TEST_F(PullTest, AListedFileThatEndsEarlyEndsTheTries) {
  list_file("model.safetensors", "0123456789");
  hub_.add(url_of("model.safetensors"), {200, {}, "0123"});
  hub_.add(url_of("model.safetensors"), {416, {}});
  EXPECT_NE(failure().find("model.safetensors"), std::string::npos);
  EXPECT_LE(asked_from("model.safetensors").size(), 7u);
}

TEST_F(PullTest, LaterMeansLater) {
  list_file("model.safetensors", "0123456789");
  hub_.add(url_of("model.safetensors"), {429, {{"retry-after", "3"}}});
  hub_.add(url_of("model.safetensors"), {503, {}});
  hub_.add(url_of("model.safetensors"), {200, {}, "0123456789"});
  EXPECT_EQ(content_of(pull() / "model.safetensors"), "0123456789");
  EXPECT_EQ(pauses_, (From{3000, 2000}));
}

TEST_F(PullTest, AGatedModelSaysWhereToAsk) {
  list_file("model.safetensors", "0123456789");
  hub_.add(url_of("model.safetensors"),
           {403, {{"x-error-code", "GatedRepo"}, {"x-error-message", "Access is restricted"}}});
  const std::string said = failure();
  EXPECT_NE(said.find("gated: ask for access at http://hub.test/o/n"), std::string::npos) << said;
  EXPECT_NE(said.find("Access is restricted"), std::string::npos);
}

TEST_F(PullTest, OneFailureEndsAll) {
  add_file("model.safetensors.index.json",
           R"({"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}})");
  list_file("a.safetensors", "0123");
  hub_.add(url_of("a.safetensors"), {401, {}});
  add_file("b.safetensors", "b");
  EXPECT_NE(failure().find("private"), std::string::npos);
  EXPECT_FALSE(find_snapshot(settings_.cache, {"o/n"}));
}

TEST_F(PullTest, OfflineAsksNobody) {
  settings_.offline = true;
  const std::string said = failure();
  EXPECT_NE(said.find("not whole in the cache"), std::string::npos);
  EXPECT_TRUE(hub_.requests().empty());
}

TEST_F(PullTest, UnsafeNamesAreNotFetched) {
  add_file("additional_chat_templates/..\\\\x.jinja", "x");
  add_file("model.safetensors", "weights");
  EXPECT_NE(failure().find("can't be kept"), std::string::npos);
  EXPECT_TRUE(asked_from("config.json").empty());
}

TEST_F(PullTest, ALookFetchesNothing) {
  add_file("model.safetensors", "weights");
  hub_.add(base + "/api/models/o/n/tree/" + test_commit + "?recursive=true",
           {200, {}, "[" + list_ + "]"});
  PullOptions options;
  options.http = hub_.factory();
  const Offer offer = look_up({"o/n"}, settings_, options);
  EXPECT_EQ(offer.weight_bytes, 7);
  EXPECT_EQ(offer.config, R"({"model_type": "qwen3"})");
  EXPECT_FALSE(fs::exists(settings_.cache));
}

}  // namespace
}  // namespace pippin::hub
