// Sends a workload to a server, and times what comes back.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "load/answer_reader.h"
#include "load/workload.h"
#include "server/http/client.h"

namespace pippin {

struct LoadOptions {
  std::string url = "http://127.0.0.1:8000/v1";  ///< of the API
  std::string model;                             ///< sent in each request
  std::string api_key;                           ///< empty for none
  int concurrency = 16;    ///< conversations at once, where they do not come at a rate
  bool at_rate = false;    ///< conversations begin when the workload says, however many are running
  double duration_s = 0;   ///< nothing is sent after that; 0: no limit
  double timeout_s = 600;  ///< of a request
  bool stream = true;
  bool ignore_eos = false;            ///< answers go on to their length
  std::optional<double> temperature;  ///< none: the server's
};

/// How far a run has got.
struct LoadProgress {
  double seconds = 0;
  std::size_t done = 0, failed = 0, running = 0;
  std::int64_t output_tokens = 0;
};

/// One thread does everything. A conversation's turns follow each other; one that fails ends its conversation.
class LoadDriver {
 public:
  LoadDriver(LoadOptions options, const Workload& workload);

  /// Returns when all has been answered or failed; `progress` is called about ten times a second.
  std::vector<RequestResult> run(const std::function<void(const LoadProgress&)>& progress);

 private:
  struct Conversation {
    int number = 0;
    int turn = 0;
    json::array messages;
  };

  double now() const;
  bool may_send() const;
  void start_due();
  void send(std::shared_ptr<Conversation> conversation);
  void ended(const std::shared_ptr<Conversation>& conversation, AnswerReader& reader, int status,
             const std::string& failure);
  std::string body_of(const Conversation& conversation, const Turn& turn) const;
  std::chrono::milliseconds patience() const;
  LoadProgress progress() const;

  const LoadOptions options_;
  const Workload& workload_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  server::HttpClient client_;
  int next_ = 0;     // conversation
  int running_ = 0;  // conversations
  std::vector<RequestResult> results_;
};

/// Sends one request and waits. Throws Error(unavailable) with what the server says where it is not answered with 200.
json::value call_once(const LoadOptions& options, const std::string& path, const std::string& body);

}  // namespace pippin
