#include "main/running_server.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <thread>

#include "base/environment.h"
#include "base/files.h"
#include "base/json.h"
#include "hub/name.h"
#include "hub/url.h"
#include "pippin/error.h"
#include "server/http/client.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto answer_patience = 10s;
constexpr auto end_patience = 30s;
constexpr auto poll_interval = 50ms;
constexpr std::size_t log_tail = 1000;  // bytes that are shown of it

struct Answer {
  int status = 0;  // 0: none
  std::string body;
};

Answer get(const std::string& url, const std::string& api_key) {
  Answer answer;
  bool ended = false;
  server::HttpCall call;
  call.url = url;
  if (!api_key.empty()) call.headers.push_back("Authorization: Bearer " + api_key);
  call.timeout = answer_patience;
  call.on_data = [&](std::string_view data) { answer.body += data; };
  call.on_end = [&](int status, const std::string&) {
    answer.status = status;
    ended = true;
  };
  server::HttpClient client;
  client.start(std::move(call));
  while (!ended) client.poll(100ms);
  return answer;
}

std::vector<ServedModel> read_models(const std::string& url, const std::string& api_key,
                                     const std::string& body) {
  const json::value value = parse_json(body, "the list of models");
  const auto* data = value.is_object() ? Members(value.get_object()).array("data") : nullptr;
  if (!data) throw Error(Code::invalid_argument, "it lists no models");
  std::vector<ServedModel> models;
  for (const json::value& entry : *data) {
    if (!entry.is_object()) continue;
    const Members members(entry.get_object(), "data");
    if (const auto id = members.string("id"))
      models.push_back({url, *id, members.integer("max_model_len").value_or(0), api_key});
  }
  if (models.empty()) throw Error(Code::invalid_argument, "it lists no models");
  return models;
}

bool is_called(const ServedModel& served, const std::string& model) {
  if (served.id == model) return true;
  std::error_code error;
  if (fs::exists(model, error)) return fs::canonical(model, error).filename() == served.id;
  const auto name = hub::parse_model_name(model);
  return (name && name->text() == served.id) || (model == "demo" && served.id == "demo-model");
}

std::string end_of(const fs::path& log) {
  const std::string text = read_text(log);
  return text.size() <= log_tail ? text : text.substr(text.size() - log_tail);
}

std::vector<std::string> serve_arguments(const std::string& model, const std::string& url) {
  constexpr std::string_view scheme = "http://";
  const std::string origin = hub::origin_of(url);  // http://HOST:PORT
  if (!origin.starts_with(scheme))
    throw Error(Code::invalid_argument,
                "a server can only be started for http://HOST:PORT, not " + url);
  const auto colon = origin.rfind(':');
  return {"serve",
          model,
          "--offline",
          "--host",
          origin.substr(scheme.size(), colon - scheme.size()),
          "--port",
          origin.substr(colon + 1)};
}

}  // namespace

std::optional<std::vector<ServedModel>> list_served(const std::string& url,
                                                    const std::string& api_key) {
  const Answer answer = get(url + "/v1/models", api_key);
  if (answer.status == 0) return {};
  if (answer.status == 401 || answer.status == 403)
    throw Error(Code::invalid_argument,
                "the server at " + url + " wants a key: give --api-key or set PIPPIN_API_KEY");
  try {
    if (answer.status == 200) return read_models(url, api_key, answer.body);
  } catch (const Error&) {  // told below
  }
  throw Error(Code::unavailable,
              "what answers at " + url + " is no server of language models; --url names another");
}

ServedModel choose_served(const std::vector<ServedModel>& served, const std::string& model) {
  if (model.empty()) return served.front();
  std::string there;
  for (const ServedModel& candidate : served) {
    if (is_called(candidate, model)) return candidate;
    there += (there.empty() ? "" : ", ") + candidate.id;
  }
  throw Error(Code::not_found, "the server at " + served.front().url + " serves " + there +
                                   ", not " + model +
                                   ": stop it, or have another started with --url");
}

StartedServer::StartedServer(const fs::path& program, const std::string& model,
                             const std::string& url, const std::string& api_key,
                             const HeldSignals& signals) {
  const fs::path folder = state_folder();
  log_ = (folder.empty() ? fs::temp_directory_path() : folder) / "serve.log";
  ProcessOptions options{program, serve_arguments(model, url), {}, {}, log_, true};
  if (!api_key.empty()) options.variables.emplace_back("PIPPIN_API_KEYS", api_key);
  process_ = std::make_unique<Process>(options);
  try {
    while (true) {
      if (signals.end_wanted()) throw Error(Code::cancelled, "interrupted");
      if (!runs()) throw Error(Code::unavailable, "the server has ended; its log: " + end_of(log_));
      if (auto served = list_served(url, api_key)) {
        served_ = std::move(*served);
        return;
      }
      std::this_thread::sleep_for(poll_interval);
    }
  } catch (...) {
    process_->end(end_patience);
    throw;
  }
}

StartedServer::~StartedServer() { process_->end(end_patience); }

fs::path state_folder() {
  const auto states = user_folder(environment_variable, "XDG_STATE_HOME", ".local/state");
  if (states.empty()) return {};
  const fs::path folder = states / "pippin";
  std::error_code error;
  fs::create_directories(folder, error);
  return error ? fs::path() : folder;
}

}  // namespace pippin
