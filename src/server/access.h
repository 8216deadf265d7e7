// Who may use the server, how much of it, and from which web pages.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "pippin/pixels.h"
#include "server/http/exchange.h"

namespace pippin::server {

struct AccessOptions {
  /// Whoever shows one of these may use the server; empty: everybody may.
  std::vector<std::string> api_keys;
  /// Limits of each key, or of all clients together where there are no keys: POST requests a minute, and such requests at once. 0: any
  /// number.
  int requests_per_minute = 0;
  int max_concurrent = 0;
  /// Origins whose pages may ask and read answers ("https://chat.example.com"); "*" allows all. Where there are some, pages of others
  /// are refused.
  std::vector<std::string> cors_origins;
  /// Keys as api_keys that may also do what concerns all (empty the caches).
  std::vector<std::string> admin_keys = {};
  /// Names by which the server may be asked, beside this machine's own; "*" allows all. Their pages may ask it, too.
  std::vector<std::string> allowed_hosts = {};
  /// The server is reached from this machine only: without keys, requests by a name that isn't this machine's are refused then, since
  /// they come from pages whose own name was pointed here (DNS rebinding).
  bool on_loopback = false;
  /// What the server listens on, which is a name of it, too.
  std::string bound_host = {};
};

/// Judges requests by their headers, before they are routed. Keys are compared by their digests and in constant time, and are not kept
/// otherwise. /health and the chat page need no key; neither does a browser's question whether a page may ask (OPTIONS). Thread-safe.
class Access {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Access(const AccessOptions& options,
                  std::function<Clock::time_point()> now = Clock::now);
  ~Access();

  Admission judge(const HttpRequest& head);

 private:
  /// What one key may do, and still may.
  struct Account;

  /// The account of the key that the request shows; null where it shows none that is known.
  std::shared_ptr<Account> account_of(const HttpRequest& head) const;
  /// Why a browser's page may not send this; nullopt where it may, or no page sends it.
  std::optional<HttpResponse> refuse_page(const HttpRequest& head) const;
  bool is_listed_host(std::string_view host) const;
  bool knows_host(std::string_view host) const;
  bool is_listed_origin(std::string_view origin) const;
  bool lets_page_ask(std::string_view origin, const HttpRequest& head) const;
  Headers cors_headers(const HttpRequest& head) const;
  HttpResponse preflight(const HttpRequest& head) const;
  /// Counts the request where the account still has room, else refuses.
  void charge(const HttpRequest& head, const std::shared_ptr<Account>& account,
              Admission& admission);

  const int requests_per_minute_;
  const int max_concurrent_;
  const std::vector<std::string> cors_origins_;
  const std::vector<std::string> allowed_hosts_;
  const std::string bound_host_;
  const std::function<Clock::time_point()> now_;
  std::vector<std::shared_ptr<Account>> accounts_;  ///< one a key; without keys a single one
  const bool needs_key_;
  const bool checks_host_;
  Mutex mutex_;  ///< guards what accounts hold
};

}  // namespace pippin::server
