// A hub of the unit tests' own: answers by URL, and everything that is asked of it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "hub/downloader.h"
#include "hub/http.h"
#include "hub/settings.h"

namespace pippin::hub {

inline const std::string test_commit(40, 'a');
inline constexpr const char* test_endpoint = "http://hub.test";

struct PlayedAnswer {
  int status = 200;
  std::map<std::string, std::string> headers = {};
  std::string body = {};
  bool breaks_off = false;  ///< behind the body
};

/// Thread-safe. Answers of a URL are used up one after the other; the last one stays.
class PlayedHub {
 public:
  void add(const std::string& url, PlayedAnswer answer) {
    const MutexLock lock(mutex_);
    answers_[url].push_back(std::move(answer));
  }

  std::vector<Request> requests() const {
    const MutexLock lock(mutex_);
    return requests_;
  }

  HttpFactory factory() {
    return [this] { return std::make_unique<Connection>(*this); };
  }

 private:
  class Connection final : public Http {
   public:
    explicit Connection(PlayedHub& hub) : hub_(hub) {}
    Head get(const Request& request, const Sink& sink) override {
      const PlayedAnswer answer = hub_.take(request);
      const Head head{answer.status, answer.headers};
      if (!answer.body.empty()) sink(head, answer.body);
      if (answer.breaks_off) throw NetworkError("the connection was cut");
      return head;
    }

   private:
    PlayedHub& hub_;
  };

  PlayedAnswer take(const Request& request) {
    const MutexLock lock(mutex_);
    requests_.push_back(request);
    auto& answers = answers_[request.url];
    if (answers.empty()) return {404, {{"x-error-code", "RepoNotFound"}}, "{}"};
    PlayedAnswer answer = answers.front();
    if (answers.size() > 1) answers.erase(answers.begin());
    return answer;
  }

  mutable Mutex mutex_;
  std::map<std::string, std::vector<PlayedAnswer>> answers_ GUARDED_BY(mutex_);
  std::vector<Request> requests_ GUARDED_BY(mutex_);
};

/// An empty cache, and waits that take no time.
class HubTest : public ::testing::Test {
 protected:
  void SetUp() override {
    settings_.endpoint = test_endpoint;
    settings_.cache = std::filesystem::path(::testing::TempDir()) / "pippin_hub" /
                      ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(settings_.cache);
  }
  void TearDown() override { std::filesystem::remove_all(settings_.cache); }

  Pause pause() {
    return [this](std::chrono::milliseconds time) {
      const MutexLock lock(mutex_);
      pauses_.push_back(time.count());
    };
  }

  static std::string content_of(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  /// What `call` throws, as text.
  static std::string error_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  Settings settings_;
  Mutex mutex_;
  std::vector<std::int64_t> pauses_;  // milliseconds
};

}  // namespace pippin::hub
