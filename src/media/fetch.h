// Bytes of the media that a request names: data: URLs, http(s) URLs, and files under one folder.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/byte_budget.h"

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
  /// http(s) fetches at once, in all and of one owner (base/fair_queue); more wait for their turn.
  std::size_t max_at_once = 64;
  std::size_t max_per_owner = 16;
  /// Bytes of bodies that have been fetched and are still in use.
  std::int64_t max_held_bytes = std::int64_t{256} << 20;
};

/// A file's bytes; those that were fetched count as held (FetchOptions::max_held_bytes) until it is destroyed.
struct Fetched {
  std::vector<std::uint8_t> bytes;
  ByteBudget::Lease held = {};
};

class FetchThread;

/// Every connection, a redirect's too, is checked at the address it is actually made to, so a name that changes its address between
/// two look-ups gains nothing. Thread-safe. Owns a thread for all http(s) fetches.
class MediaFetcher {
 public:
  /// Whether a connection to an address is allowed.
  using AddressRule = std::function<bool(const sockaddr&)>;
  using Result = std::variant<Fetched, std::exception_ptr>;
  using Done = std::function<void(Result)>;

  explicit MediaFetcher(const FetchOptions& options);
  /// With a rule of its own in place of the one that allow_private_networks chooses.
  MediaFetcher(FetchOptions options, AddressRule rule);
  ~MediaFetcher();

  /// Whether the bytes behind `url` come over the network: fetch() waits for them then, for at most total_timeout.
  static bool is_remote(std::string_view url);

  /// The bytes behind `url`. Throws Error(invalid_argument) for a URL that is malformed, not allowed
  /// (naming the rule) or not answered with success (with the remote's status),
  /// Error(payload_too_large) over `max_bytes`, Error(unavailable) where as many bytes are held as may be.
  /// The error's field is empty: the caller knows it.
  std::vector<std::uint8_t> fetch(std::string_view url, std::int64_t max_bytes) const;

  /// Begins to fetch what is remote and returns. `done` is called once, on the fetcher's thread: it must only pass the result on.
  /// `wanted` is asked from time to time; false: the fetch ends with Error(cancelled). What has not ended when the fetcher is destroyed
  /// is dropped without a call.
  void start(const Client& client, std::string url, std::int64_t max_bytes,
             std::function<bool()> wanted, Done done) const;

  /// http(s) fetches that run or wait, and the bytes that are held.
  struct Stats {
    std::int64_t running = 0, waiting = 0, held_bytes = 0, limit_bytes = 0;
  };
  Stats stats() const;

 private:
  FetchOptions options_;
  std::unique_ptr<FetchThread> thread_;
};

}  // namespace pippin::media
