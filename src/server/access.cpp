#include "server/access.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/digest.h"
#include "server/http/errors.h"
#include "server/http/head.h"
#include "server/page/page.h"
#include "server/web_origin.h"

namespace pippin::server {
namespace {

// What pages may read of answers beside the body.
constexpr const char* exposed_headers =
    "X-Request-Id, X-Pippin-Ignored, Retry-After, x-ratelimit-limit-requests, "
    "x-ratelimit-remaining-requests, x-ratelimit-reset-requests";
// Seconds that browsers may remember an answer to OPTIONS.
constexpr const char* preflight_age = "600";

Digest digest_of(std::string_view key) {
  return blake3({reinterpret_cast<const std::uint8_t*>(key.data()), key.size()});
}

// Looks at every byte, whatever they are.
bool equal_in_constant_time(const Digest& a, const Digest& b) {
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned>(a[i] ^ b[i]);
  return difference == 0;
}

bool starts_with_bearer(std::string_view value) {
  constexpr std::string_view scheme = "bearer ";
  return value.size() > scheme.size() &&
         std::equal(scheme.begin(), scheme.end(), value.begin(),
                    [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b); });
}

// Of "Authorization: Bearer KEY" (OpenAI's clients) or "x-api-key: KEY" (Anthropic's).
std::optional<std::string_view> shown_key(const HttpRequest& request) {
  if (const auto value = request.headers.get("Authorization");
      value && starts_with_bearer(*value)) {
    const auto key = value->substr(7);
    return key.substr(std::min(key.find_first_not_of(' '), key.size()));
  }
  return request.headers.get("x-api-key");
}

// The page holds no secrets, and asks for the key itself.
bool needs_no_key(const HttpRequest& head) {
  const bool reads = head.method == "GET" || head.method == "HEAD";
  return head.path == "/health" || (reads && is_page_path(head.path));
}

HttpResponse no_key(const HttpRequest& head, bool shown) {
  HttpResponse response = error_response(
      place_of(head), 401,
      shown ? "the API key is not known to this server"
            : "an API key is needed: send 'Authorization: Bearer KEY' or 'x-api-key: KEY'",
      "", "invalid_api_key");
  response.headers.add("WWW-Authenticate", "Bearer");
  return response;
}

// What stands for a key elsewhere: not the digest that it is known by here.
std::string id_of(const Digest& digest) { return to_hex(blake3(digest)); }

// What a header said, for a message.
std::string quoted(std::string_view value) {
  constexpr std::size_t most = 100;
  return "'" + printable(value.substr(0, most)) + "'";
}

std::vector<std::string> hosts_of(std::vector<std::string> authorities) {
  for (std::string& authority : authorities) authority = host_of(authority);
  return authorities;
}

std::vector<std::string> without_slash(std::vector<std::string> origins) {
  for (std::string& origin : origins)
    if (origin.ends_with('/') && !origin.ends_with("//")) origin.pop_back();
  return origins;
}

bool has(const std::vector<std::string>& list, std::string_view wanted) {
  return std::any_of(list.begin(), list.end(),
                     [&](const std::string& entry) { return entry == "*" || entry == wanted; });
}

// As OpenAI has it: "1.5s".
std::string duration_text(double seconds) {
  std::string text = std::to_string(std::ceil(seconds * 10) / 10);
  return text.substr(0, text.find('.') + 2) + "s";
}

}  // namespace

// A bucket that fills at the allowed rate and holds a minute's requests.
struct Access::Account {
  Digest digest{};
  Caller caller;
  double room = 0;          ///< requests
  Clock::time_point as_of;  ///< when that was so
  int running = 0;
};

Access::Access(const AccessOptions& options, std::function<Clock::time_point()> now)
    : requests_per_minute_(options.requests_per_minute),
      max_concurrent_(options.max_concurrent),
      cors_origins_(without_slash(options.cors_origins)),
      allowed_hosts_(hosts_of(options.allowed_hosts)),
      bound_host_(host_of(options.bound_host)),
      now_(std::move(now)),
      needs_key_(!options.api_keys.empty() || !options.admin_keys.empty()),
      checks_host_(!options.allowed_hosts.empty() || (options.on_loopback && !needs_key_)) {
  const auto add = [&](const Digest& digest, Caller caller) {
    accounts_.push_back(std::make_shared<Account>(
        Account{digest, std::move(caller), static_cast<double>(requests_per_minute_), now_(), 0}));
  };
  // Who is alone disturbs nobody else.
  const bool alone = options.admin_keys.empty() && options.api_keys.size() == 1;
  for (const std::string& key : options.api_keys)
    add(digest_of(key), {id_of(digest_of(key)), alone});
  for (const std::string& key : options.admin_keys)
    add(digest_of(key), {id_of(digest_of(key)), true});
  if (!needs_key_) add({}, {});
}

Access::~Access() = default;

std::shared_ptr<Access::Account> Access::account_of(const HttpRequest& head) const {
  if (!needs_key_) return accounts_.front();
  const auto key = shown_key(head);
  const Digest digest = digest_of(key.value_or(""));
  std::shared_ptr<Account> found;
  for (const auto& account : accounts_)
    if (equal_in_constant_time(account->digest, digest)) found = account;
  return key ? found : nullptr;
}

Admission Access::judge(const HttpRequest& head) {
  Admission admission;
  admission.headers = cors_headers(head);
  admission.caller.admin = !needs_key_;
  admission.refusal = refuse_page(head);
  if (admission.refusal) return admission;
  if (head.method == "OPTIONS" && head.headers.get("Access-Control-Request-Method") &&
      head.headers.get("Origin")) {
    admission.refusal = preflight(head);
    return admission;
  }
  const auto account = account_of(head);
  if (account) admission.caller = account->caller;
  if (needs_no_key(head)) {
    admission.reads_body = false;
    return admission;
  }
  if (!account)
    admission.refusal = no_key(head, shown_key(head).has_value());
  else if (head.method == "POST")
    charge(head, account, admission);
  return admission;
}

void Access::charge(const HttpRequest& head, const std::shared_ptr<Account>& account,
                    Admission& admission) {
  if (requests_per_minute_ <= 0 && max_concurrent_ <= 0) return;
  const MutexLock lock(mutex_);
  const double per_second = requests_per_minute_ / 60.0;
  const auto now = now_();
  const double seconds = std::chrono::duration<double>(now - account->as_of).count();
  account->room = std::min<double>(requests_per_minute_, account->room + seconds * per_second);
  account->as_of = now;
  const bool too_often = requests_per_minute_ > 0 && account->room < 1;
  const bool too_many = max_concurrent_ > 0 && account->running >= max_concurrent_;
  if (!too_often && !too_many) account->room -= 1;
  if (requests_per_minute_ > 0) {
    auto& headers = admission.headers;
    headers.add("x-ratelimit-limit-requests", std::to_string(requests_per_minute_));
    headers.add("x-ratelimit-remaining-requests",
                std::to_string(static_cast<int>(std::max(0.0, account->room))));
    headers.add("x-ratelimit-reset-requests",
                duration_text((requests_per_minute_ - account->room) / per_second));
  }
  if (too_often || too_many) {
    const double wait = too_often ? (1 - account->room) / per_second : 1;
    admission.refusal = error_response(
        place_of(head), 429,
        too_often
            ? "too many requests: " + std::to_string(requests_per_minute_) + " a minute are allowed"
            : "too many requests at once: " + std::to_string(max_concurrent_) + " are allowed",
        "", "rate_limit_exceeded");
    admission.refusal->headers.set("Retry-After",
                                   std::to_string(static_cast<int>(std::ceil(wait))));
    return;
  }
  ++account->running;
  admission.held = std::shared_ptr<void>(nullptr, [this, account](void*) {
    const MutexLock lock(mutex_);
    --account->running;
  });
}

// ---------------------------------------------------------------------------------------------------------------------
// Web pages

bool Access::is_listed_host(std::string_view host) const { return has(allowed_hosts_, host); }

bool Access::knows_host(std::string_view host) const {
  return is_this_machine(host) || (!bound_host_.empty() && host == bound_host_) ||
         is_listed_host(host);
}

bool Access::is_listed_origin(std::string_view origin) const { return has(cors_origins_, origin); }

std::optional<HttpResponse> Access::refuse_page(const HttpRequest& head) const {
  const auto host = head.headers.get("Host");  // old clients send none; browsers do
  if (checks_host_ && host && !knows_host(host_of(*host)))
    return error_response(
        place_of(head), 403,
        "the host " + quoted(*host) + " is not this server's; --allowed-host names further ones",
        "", "host_not_allowed");
  const auto origin = head.headers.get("Origin");
  if (!origin || lets_page_ask(*origin, head)) return {};
  return error_response(
      place_of(head), 403,
      "pages of " + quoted(*origin) + " may not ask this server; --cors-origin lets them", "",
      "origin_not_allowed");
}

// Without keys whoever asks is answered, so pages of other sites must not be able to ask. With keys they have none to show.
bool Access::lets_page_ask(std::string_view origin, const HttpRequest& head) const {
  if (is_listed_origin(origin)) return true;
  if (is_same_origin(origin, head.headers.get("Host").value_or(""))) return true;
  const std::string host = host_of(authority_of(origin));
  if (!host.empty() && is_listed_host(host)) return true;
  if (!cors_origins_.empty()) return false;
  return needs_key_ || knows_host(host);
}

Headers Access::cors_headers(const HttpRequest& head) const {
  const auto origin = head.headers.get("Origin");
  if (cors_origins_.empty() || !origin) return {};
  // What is kept for one origin is not another's.
  if (!is_listed_origin(*origin)) return {{"Vary", "Origin"}};
  return {{"Access-Control-Allow-Origin", std::string(*origin)},
          {"Vary", "Origin"},
          {"Access-Control-Expose-Headers", exposed_headers}};
}

HttpResponse Access::preflight(const HttpRequest& head) const {
  HttpResponse response{200, {}, ""};
  if (!is_listed_origin(*head.headers.get("Origin"))) return response;
  response.headers.add("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS");
  response.headers.add(
      "Access-Control-Allow-Headers",
      std::string(head.headers.get("Access-Control-Request-Headers").value_or("*")));
  response.headers.add("Access-Control-Max-Age", preflight_age);
  // Browsers ask so before a public page may reach a private address.
  if (head.headers.get("Access-Control-Request-Private-Network") == "true")
    response.headers.add("Access-Control-Allow-Private-Network", "true");
  return response;
}

}  // namespace pippin::server
