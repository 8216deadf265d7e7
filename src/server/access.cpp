#include "server/access.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/digest.h"
#include "server/errors.h"

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

HttpResponse no_key(const Exchange& exchange, bool shown) {
  HttpResponse response = error_response(
      place_of(exchange), 401,
      shown ? "the API key is not known to this server"
            : "an API key is needed: send 'Authorization: Bearer KEY' or 'x-api-key: KEY'",
      "", "invalid_api_key");
  response.headers.add("WWW-Authenticate", "Bearer");
  return response;
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
  double room = 0;          ///< requests
  Clock::time_point as_of;  ///< when that was so
  int running = 0;
};

Access::Access(const AccessOptions& options, std::function<Clock::time_point()> now)
    : requests_per_minute_(options.requests_per_minute),
      max_concurrent_(options.max_concurrent),
      cors_origins_(options.cors_origins),
      now_(std::move(now)),
      needs_key_(!options.api_keys.empty()) {
  const auto add = [&](const Digest& digest) {
    accounts_.push_back(std::make_shared<Account>(
        Account{digest, static_cast<double>(requests_per_minute_), now_(), 0}));
  };
  for (const std::string& key : options.api_keys) add(digest_of(key));
  if (!needs_key_) add({});
}

Access::~Access() = default;

std::shared_ptr<Access::Account> Access::account_of(const HttpRequest& request) const {
  if (!needs_key_) return accounts_.front();
  const auto key = shown_key(request);
  const Digest digest = digest_of(key.value_or(""));
  std::shared_ptr<Account> found;
  for (const auto& account : accounts_)
    if (equal_in_constant_time(account->digest, digest)) found = account;
  return key ? found : nullptr;
}

Admission Access::judge(const Exchange& exchange) {
  const HttpRequest& request = exchange.request();
  if (request.method == "OPTIONS" && request.headers.get("Access-Control-Request-Method") &&
      request.headers.get("Origin"))
    return preflight(request);
  Admission admission;
  admission.headers = cors_headers(request);
  if (request.path == "/health") return admission;
  const auto account = account_of(request);
  if (!account)
    admission.refusal = no_key(exchange, shown_key(request).has_value());
  else if (request.method == "POST")
    charge(exchange, account, admission);
  return admission;
}

void Access::charge(const Exchange& exchange, const std::shared_ptr<Account>& account,
                    Admission& admission) {
  if (requests_per_minute_ <= 0 && max_concurrent_ <= 0) return;
  std::lock_guard lock(mutex_);
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
        place_of(exchange), 429,
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
    std::lock_guard lock(mutex_);
    --account->running;
  });
}

bool Access::allows_origin(std::string_view origin) const {
  return std::any_of(cors_origins_.begin(), cors_origins_.end(), [&](const std::string& allowed) {
    return allowed == "*" || allowed == origin;
  });
}

Headers Access::cors_headers(const HttpRequest& request) const {
  const auto origin = request.headers.get("Origin");
  if (cors_origins_.empty() || !origin) return {};
  // What is kept for one origin is not another's.
  if (!allows_origin(*origin)) return {{"Vary", "Origin"}};
  return {{"Access-Control-Allow-Origin", std::string(*origin)},
          {"Vary", "Origin"},
          {"Access-Control-Expose-Headers", exposed_headers}};
}

Admission Access::preflight(const HttpRequest& request) const {
  HttpResponse response{200, {}, ""};
  if (allows_origin(*request.headers.get("Origin"))) {
    response.headers.add("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS");
    response.headers.add(
        "Access-Control-Allow-Headers",
        std::string(request.headers.get("Access-Control-Request-Headers").value_or("*")));
    response.headers.add("Access-Control-Max-Age", preflight_age);
  }
  return {std::move(response), cors_headers(request), nullptr};
}

}  // namespace pippin::server
