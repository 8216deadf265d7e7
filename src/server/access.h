// Who may use the server, how much of it, and from which web pages.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "pippin/pixels.h"
#include "server/http/exchange.h"

namespace pippin::server {

struct AccessOptions {
  /// Whoever shows one of these may use the server; empty: everybody may.
  std::vector<std::string> api_keys;
  /// Of each key (of all clients together where there are no keys): POST requests a minute, and such requests at once. 0: any
  /// number.
  int requests_per_minute = 0;
  int max_concurrent = 0;
  /// Origins whose pages may read answers ("https://chat.example.com"); "*" allows all.
  std::vector<std::string> cors_origins;
};

/// Judges requests before they are routed. Keys are compared by their digests and in constant time, and are not kept otherwise.
/// /health needs no key; neither does a browser's question whether a page may ask (OPTIONS). Thread-safe.
class Access {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Access(const AccessOptions& options,
                  std::function<Clock::time_point()> now = Clock::now);
  ~Access();

  Admission judge(const Exchange& exchange);

 private:
  /// What one key may still do.
  struct Account;

  /// The account of the key that the request shows; null where it shows none that is known.
  std::shared_ptr<Account> account_of(const HttpRequest& request) const;
  bool allows_origin(std::string_view origin) const;
  Headers cors_headers(const HttpRequest& request) const;
  Admission preflight(const HttpRequest& request) const;
  /// Counts the request where the account still has room, else refuses.
  void charge(const Exchange& exchange, const std::shared_ptr<Account>& account,
              Admission& admission);

  const int requests_per_minute_;
  const int max_concurrent_;
  const std::vector<std::string> cors_origins_;
  const std::function<Clock::time_point()> now_;
  std::vector<std::shared_ptr<Account>> accounts_;  ///< one a key; without keys a single one
  const bool needs_key_;
  std::mutex mutex_;  ///< guards what accounts hold
};

}  // namespace pippin::server
