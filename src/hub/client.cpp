#include "hub/client.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <thread>
#include <utility>

#include "base/json.h"
#include "base/log.h"
#include "hub/hash.h"
#include "hub/url.h"

namespace pippin::hub {
namespace {

constexpr int max_hops = 6;
constexpr int max_attempts = 5;
constexpr int max_pages = 1000;
constexpr std::size_t max_body = 64 << 20;  // of JSON and other small things
constexpr std::chrono::seconds longest_wait{120};

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool is_worth_a_try(int status) { return status == 408 || status == 429 || status >= 500; }

std::optional<long> number(std::string_view text) {
  long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end != text.data() && value >= 0 ? std::optional(value)
                                                                  : std::nullopt;
}

// Retry-After in seconds, or the t of the hub's RateLimit: "api";r=0;t=55.
std::optional<long> seconds_to_wait(const Head& head) {
  if (const auto seconds = number(head.header("retry-after"))) return seconds;
  const std::string limit = head.header("ratelimit");
  const auto at = limit.find(";t=");
  return at == std::string::npos ? std::nullopt : number(std::string_view(limit).substr(at + 3));
}

// The URL of rel="next" in a Link header; empty where there is none.
std::string next_page(const Head& head) {
  const std::string link = head.header("link");
  const auto end = link.find(">; rel=\"next\"");
  if (end == std::string::npos) return "";
  const auto begin = link.rfind('<', end);
  return begin == std::string::npos ? "" : link.substr(begin + 1, end - begin - 1);
}

[[noreturn]] void throw_strange(const std::string& what) {
  throw Error(Code::unavailable, "the hub's answer can't be used: " + what);
}

RemoteFile file_of(const Members& entry) {
  RemoteFile file;
  file.path = entry.string("path").value_or("");
  file.size = entry.required_integer("size");
  file.hash = entry.string("oid").value_or("");
  if (const auto* large = entry.object("lfs")) {
    const Members members(*large, entry.path_of("lfs"));
    file.size = members.required_integer("size");
    file.hash = members.string("oid").value_or("");
    if (file.hash.empty()) file.hash = members.string("sha256").value_or("");
    if (file.hash.size() != 64) throw_strange(harmless(file.path) + " has no SHA-256");
  }
  if (file.size < 0 || !is_file_hash(file.hash))
    throw_strange(harmless(file.path) + " has no size or no hash");
  return file;
}

json::value parsed(const std::string& body) {
  try {
    return parse_json(body, "the hub's answer");
  } catch (const Error& error) {
    throw_strange(error.what());
  }
}

void add_files(const std::string& body, std::vector<RemoteFile>& files) try {
  const json::value value = parsed(body);
  if (!value.is_array()) throw_strange("no list of files");
  for (const json::value& entry : value.get_array()) {
    if (!entry.is_object()) throw_strange("no list of files");
    const Members members(entry.get_object(), "file");
    if (members.string("type").value_or("file") == "file") files.push_back(file_of(members));
  }
} catch (const Error& error) {
  if (error.code() == Code::unavailable) throw;
  throw_strange(error.what());
}

}  // namespace

void pause_thread(std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }

std::string harmless(std::string_view text) {
  constexpr std::size_t longest = 200;
  std::string line(text.substr(0, longest));
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  return line;
}

std::chrono::milliseconds time_to_wait(const Head& head, int attempt) {
  if (const auto seconds = seconds_to_wait(head))
    return std::chrono::seconds(std::min<long>(*seconds, longest_wait.count()));
  return std::chrono::seconds(1 << std::min(attempt, 5));
}

void throw_status(const Settings& settings, const ModelName& name, const Head& head) {
  const int status = head.status;
  const std::string code = head.header("x-error-code");
  const std::string said = harmless(head.header("x-error-message"));
  const std::string because = said.empty() ? "" : ": " + said;
  const std::string page = settings.endpoint + "/" + name.repo;
  const std::string token = settings.token.empty()
                                ? "set HF_TOKEN to your token (" + settings.endpoint +
                                      "/settings/tokens) or run `hf auth login`"
                                : "check that HF_TOKEN is a valid token that may read it";
  if (code == "GatedRepo")
    throw Error(Code::invalid_argument,
                name.repo + " is gated: ask for access at " + page + ", then " + token + because);
  if (status == 404 && code == "RevisionNotFound")
    throw Error(Code::not_found, name.repo + " has no revision '" + name.revision + "'");
  if (status == 404 && code == "EntryNotFound")
    throw Error(Code::not_found, name.repo + " has no such file" + because);
  if (status == 401 || status == 404)
    throw Error(Code::not_found, "the hub at " + settings.endpoint + " has no model " + name.repo +
                                     ", or it is private: then " + token + because);
  if (status == 403)
    throw Error(Code::invalid_argument, "the hub refuses " + name.repo + because +
                                            "; where it asks for consent, give it at " + page +
                                            ", then " + token);
  const std::string text =
      "the hub at " + settings.endpoint + " answered " + std::to_string(status) + because;
  if (is_worth_a_try(status)) throw NetworkError(text);
  throw Error(Code::unavailable, text);
}

Client::Client(const Settings& settings, std::unique_ptr<Http> http, Pause pause)
    : settings_(settings),
      origin_(origin_of(settings.endpoint)),
      http_(std::move(http)),
      pause_(std::move(pause)) {}

Client::Answer Client::follow(std::string url, std::int64_t from,
                              const std::function<void(const Head&)>& check, const Sink* sink) {
  for (int hop = 0; hop < max_hops; ++hop) {
    const bool own = origin_of(url) == origin_;
    Answer answer;
    bool checked = !own || !check;
    const auto check_once = [&](const Head& head) {
      if (head.status < 400 && !std::exchange(checked, true)) check(head);
    };
    answer.head =
        http_->get({url, own ? settings_.token : "", from}, [&](const Head& head, auto bytes) {
          check_once(head);  // before anything of the body is taken
          if (sink && head.status / 100 == 2) return (*sink)(head, bytes);
          if (bytes.size() > max_body - answer.body.size())
            throw_strange("it is larger than " + std::to_string(max_body) + " bytes");
          answer.body += bytes;
        });
    check_once(answer.head);
    if (!is_redirect(answer.head.status)) return answer;
    const std::string next = resolve_url(url, answer.head.header("location"));
    if (next.empty() || (url.starts_with("https:") && !next.starts_with("https:")))
      throw_strange("a redirect that leads nowhere safe");
    url = next;
  }
  throw_strange("more than " + std::to_string(max_hops) + " redirects");
}

// The hub's API. A hub that can't be reached is told at once: there may be a copy in the cache.
Client::Answer Client::ask(const ModelName& name, const std::string& url) {
  for (int attempt = 0;; ++attempt) {
    Answer answer = follow(url, 0, {}, nullptr);
    if (answer.head.status == 200) return answer;
    if (attempt + 1 == max_attempts || !is_worth_a_try(answer.head.status))
      throw_status(settings_, name, answer.head);
    const auto wait = time_to_wait(answer.head, attempt);
    spdlog::warn("the hub answered {}; trying again in {} s", answer.head.status,
                 wait.count() / 1000);
    pause_(wait);
  }
}

std::string Client::commit_of(const ModelName& name) {
  const std::string url = settings_.endpoint + "/api/models/" + name.repo + "/revision/" +
                          percent_encoded(name.revision);
  const json::value value = parsed(ask(name, url).body);
  const auto* object = value.if_object();
  const auto* sha = object ? object->if_contains("sha") : nullptr;
  const std::string commit = sha && sha->is_string() ? std::string(sha->get_string()) : "";
  if (!is_commit(commit)) throw_strange("no commit of " + name.text());
  return commit;
}

std::vector<RemoteFile> Client::files_of(const std::string& repo, const std::string& commit) {
  std::vector<RemoteFile> files;
  std::string url =
      settings_.endpoint + "/api/models/" + repo + "/tree/" + commit + "?recursive=true";
  for (int page = 0; page < max_pages && !url.empty(); ++page) {
    const Answer answer = ask({repo, commit}, url);
    add_files(answer.body, files);
    url = next_page(answer.head);
    if (!url.empty() && origin_of(url) != origin_) throw_strange("its list goes on elsewhere");
  }
  return files;
}

Head Client::get_file(const std::string& repo, const std::string& commit, const std::string& path,
                      std::int64_t from, const std::function<void(const Head&)>& check,
                      const Sink& sink) {
  const std::string url =
      settings_.endpoint + "/" + repo + "/resolve/" + commit + "/" + percent_encoded(path, "/");
  return follow(url, from, check, &sink).head;
}

std::string Client::read_file(const std::string& repo, const std::string& commit,
                              const std::string& path) {
  const std::string url =
      settings_.endpoint + "/" + repo + "/resolve/" + commit + "/" + percent_encoded(path, "/");
  return ask({repo, commit}, url).body;
}

}  // namespace pippin::hub
