// Bytes of the media that a request names: data: URLs, http(s) URLs, and files under one folder.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

struct sockaddr;

namespace pippin::media {

struct FetchOptions {
  std::filesystem::path media_root;  ///< local files must lie under it; empty: none are allowed
  /// Lets http(s) URLs lead to private, loopback and other non-public addresses. For tests and home
  /// networks: on a shared server it hands the inner network to whoever may send a request.
  bool allow_private_networks = false;
  /// Honours http_proxy and the like. The proxy then resolves names and connects, so keeping it off
  /// the inner network is the proxy's task: addresses are not checked here.
  bool use_environment_proxy = false;
  std::chrono::milliseconds connect_timeout{5000};  ///< of one connection
  std::chrono::milliseconds total_timeout{20000};   ///< of a whole fetch, redirects included
  int max_redirects = 3;
};

/// Owns its options only, so any number of threads may fetch at once. A fetch blocks for at most
/// total_timeout: call it on a worker. Every connection, a redirect's too, is checked at the address
/// it is actually made to, so a name that changes its address between two look-ups gains nothing.
class MediaFetcher {
 public:
  /// Whether a connection to an address is allowed.
  using AddressRule = std::function<bool(const sockaddr&)>;

  explicit MediaFetcher(FetchOptions options);
  /// With a rule of its own in place of the one that allow_private_networks chooses.
  MediaFetcher(FetchOptions options, AddressRule rule);

  /// The bytes behind `url`. Throws Error(invalid_argument) for a URL that is malformed, not allowed
  /// (naming the rule) or not answered with success (with the remote's status), and
  /// Error(payload_too_large) over `max_bytes`. The error's field is empty: the caller knows it.
  std::vector<std::uint8_t> fetch(std::string_view url, std::int64_t max_bytes) const;

 private:
  std::vector<std::uint8_t> fetch_http(const std::string& url, std::int64_t max_bytes) const;

  FetchOptions options_;
  AddressRule rule_;
};

}  // namespace pippin::media
