#include "load/driver.h"

#include <algorithm>
#include <utility>

#include "pippin/error.h"

namespace pippin {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds tick{100};

server::HttpCall call_of(const LoadOptions& options, const std::string& path, std::string body) {
  server::HttpCall call;
  call.url = options.url + path;
  call.body = std::move(body);
  call.headers = {"Content-Type: application/json", "Expect:"};
  if (!options.api_key.empty()) call.headers.push_back("Authorization: Bearer " + options.api_key);
  call.timeout = milliseconds(static_cast<std::int64_t>(1000 * options.timeout_s));
  return call;
}

json::value content_of(const Turn& turn) {
  if (turn.images.empty()) return json::string(turn.question);
  json::array parts;
  for (const auto& image : turn.images)
    parts.push_back(
        json::object{{"type", "image_url"}, {"image_url", json::object{{"url", image}}}});
  parts.push_back(json::object{{"type", "text"}, {"text", turn.question}});
  return parts;
}

json::object message(std::string_view role, json::value content) {
  return {{"role", role}, {"content", std::move(content)}};
}

}  // namespace

LoadDriver::LoadDriver(LoadOptions options, const Workload& workload)
    : options_(std::move(options)), workload_(workload) {}

double LoadDriver::now() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

bool LoadDriver::may_send() const {
  return options_.duration_s <= 0 || now() < options_.duration_s;
}

std::vector<RequestResult> LoadDriver::run(
    const std::function<void(const LoadProgress&)>& progress) {
  double shown = 0;
  for (;;) {
    start_due();
    const bool more = next_ < workload_.num_conversations() && may_send();
    if (!more && client_.num_active() == 0) break;
    client_.poll(patience());
    if (now() - shown < 0.1) continue;
    shown = now();
    progress(this->progress());
  }
  progress(this->progress());
  return std::move(results_);
}

void LoadDriver::start_due() {
  while (next_ < workload_.num_conversations() && may_send()) {
    if (options_.at_rate ? workload_.arrival(next_) > now() : running_ >= options_.concurrency)
      return;
    auto conversation = std::make_shared<Conversation>();
    conversation->number = next_++;
    ++running_;
    send(std::move(conversation));
  }
}

// Until the next conversation begins.
milliseconds LoadDriver::patience() const {
  if (!options_.at_rate || next_ >= workload_.num_conversations()) return tick;
  const double wait = std::max(0.0, workload_.arrival(next_) - now());
  return std::min(tick, milliseconds(static_cast<std::int64_t>(1000 * wait)));
}

void LoadDriver::send(std::shared_ptr<Conversation> conversation) {
  const Turn turn = workload_.turn(conversation->number, conversation->turn);
  if (!turn.prefix.empty())
    conversation->messages.push_back(message("system", json::string(turn.prefix)));
  conversation->messages.push_back(message("user", content_of(turn)));
  auto call = call_of(options_, "/chat/completions", body_of(*conversation, turn));
  RequestResult result;
  result.conversation = conversation->number;
  result.turn = conversation->turn;
  result.sent = now();
  const auto reader = std::make_shared<AnswerReader>(std::move(result), options_.stream);
  call.on_data = [this, reader](std::string_view bytes) { reader->feed(bytes, now()); };
  call.on_end = [this, reader, conversation = std::move(conversation)](int status,
                                                                       const std::string& failure) {
    ended(conversation, *reader, status, failure);
  };
  client_.start(std::move(call));
}

std::string LoadDriver::body_of(const Conversation& conversation, const Turn& turn) const {
  json::object body{{"model", options_.model},
                    {"messages", conversation.messages},
                    {"max_tokens", turn.output_tokens},
                    {"stream", options_.stream}};
  if (options_.stream) body["stream_options"] = json::object{{"include_usage", true}};
  if (options_.ignore_eos) body["ignore_eos"] = true;
  if (options_.temperature) body["temperature"] = *options_.temperature;
  return json::serialize(body);
}

void LoadDriver::ended(const std::shared_ptr<Conversation>& conversation, AnswerReader& reader,
                       int status, const std::string& failure) {
  results_.push_back(reader.finish(status, failure, now()));
  const bool goes_on = results_.back().ok() && may_send() &&
                       ++conversation->turn < workload_.num_turns(conversation->number);
  if (!goes_on) {
    --running_;
    return;
  }
  conversation->messages.push_back(message("assistant", json::string(reader.text())));
  send(conversation);
}

LoadProgress LoadDriver::progress() const {
  LoadProgress progress;
  progress.seconds = now();
  progress.done = results_.size();
  progress.running = client_.num_active();
  for (const auto& result : results_) {
    progress.failed += !result.ok();
    progress.output_tokens += result.output_tokens;
  }
  return progress;
}

json::value call_once(const LoadOptions& options, const std::string& path,
                      const std::string& body) {
  server::HttpClient client;
  auto call = call_of(options, path, body);
  std::string answer, failure;
  int status = 0;
  call.on_data = [&](std::string_view bytes) { answer += bytes; };
  call.on_end = [&](int code, const std::string& why) {
    status = code;
    failure = why;
  };
  const std::string url = call.url;
  client.start(std::move(call));
  while (client.num_active() > 0) client.poll(tick);
  if (status != 200)
    throw Error(Code::unavailable, url + ": " +
                                       (status == 0 ? failure
                                                    : "status " + std::to_string(status) + ": " +
                                                          answer.substr(0, 500)));
  return parse_json(answer, url);
}

}  // namespace pippin
