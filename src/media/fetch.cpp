#include "media/fetch.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "media/address.h"
#include "media/data_url.h"
#include "media/local_file.h"
#include "media/url.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

// What one transfer's callbacks share.
struct Transfer {
  std::int64_t max_bytes;
  const MediaFetcher::AddressRule& rule;
  std::vector<std::uint8_t> body;
  bool too_large = false;
  bool refused_address = false;
  char message[CURL_ERROR_SIZE] = {};
};

std::size_t on_body(char* data, std::size_t, std::size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const auto max_bytes = static_cast<std::size_t>(transfer.max_bytes);
  transfer.too_large = size > max_bytes - transfer.body.size();
  if (transfer.too_large) return CURL_WRITEFUNC_ERROR;
  try {
    transfer.body.insert(transfer.body.end(), data, data + size);
  } catch (const std::bad_alloc&) {  // may not pass through C
    return CURL_WRITEFUNC_ERROR;
  }
  return size;
}

// libcurl asks for a socket with the address that it is about to connect to.
curl_socket_t on_socket(void* user, curlsocktype, curl_sockaddr* address) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (!transfer.rule(address->addr)) {
    transfer.refused_address = true;
    return CURL_SOCKET_BAD;
  }
  const int socket = ::socket(address->family, address->socktype, address->protocol);
  if (socket >= 0) fcntl(socket, F_SETFD, FD_CLOEXEC);
  return socket;
}

[[noreturn]] void refuse(std::string_view url, const std::string& why) {
  throw Error(Code::invalid_argument, "[fetch] cannot fetch '" + shortened(url) + "': " + why);
}

[[noreturn]] void fail(const std::string& url, const Transfer& transfer, CURLcode code,
                       long status) {
  if (transfer.too_large || code == CURLE_FILESIZE_EXCEEDED) {
    throw Error(Code::payload_too_large, "[fetch] '" + shortened(url) +
                                             "' has more than the allowed " +
                                             std::to_string(transfer.max_bytes) + " bytes");
  }
  if (code == CURLE_HTTP_RETURNED_ERROR) {
    refuse(url, "the remote answered with status " + std::to_string(status));
  }
  if (code == CURLE_COULDNT_CONNECT && transfer.refused_address) {
    refuse(url, "it leads to an address outside the public internet, which is not allowed here");
  }
  const std::string detail = transfer.message;
  refuse(url, detail.empty() ? curl_easy_strerror(code) : detail);
}

struct UrlHandle {
  CURLU* handle = curl_url();
  UrlHandle() = default;
  UrlHandle(const UrlHandle&) = delete;
  UrlHandle& operator=(const UrlHandle&) = delete;
  ~UrlHandle() { curl_url_cleanup(handle); }

  bool has(CURLUPart part) const {
    char* text = nullptr;
    const bool found = curl_url_get(handle, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return found;
  }
};

void check_url(const std::string& url) {
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7F; };
  if (std::any_of(url.begin(), url.end(), is_control)) {
    refuse("http", "a URL may not hold control characters");
  }
  const UrlHandle parsed;
  const CURLUcode code = curl_url_set(parsed.handle, CURLUPART_URL, url.c_str(), 0);
  if (code != CURLUE_OK) refuse(url, std::string("malformed URL: ") + curl_url_strerror(code));
  if (parsed.has(CURLUPART_USER) || parsed.has(CURLUPART_PASSWORD)) {
    throw Error(Code::invalid_argument, "[fetch] credentials are not allowed in URLs");
  }
}

// The first call of libcurl in the process must not race with others: a local static is built once.
void start_curl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code != CURLE_OK) throw Error(Code::internal, "[fetch] libcurl cannot start");
}

struct CloseCurl {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
using Curl = std::unique_ptr<CURL, CloseCurl>;

void set_limits(CURL* curl, const FetchOptions& options, std::int64_t max_bytes) {
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, static_cast<long>(options.max_redirects));
  curl_easy_setopt(curl, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);  // signals would hit other threads
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(options.connect_timeout.count()));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(options.total_timeout.count()));
  curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(max_bytes));
  if (!options.use_environment_proxy) curl_easy_setopt(curl, CURLOPT_PROXY, "");
}

void set_callbacks(CURL* curl, Transfer& transfer) {
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_socket);
  curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transfer.message);
}

MediaFetcher::AddressRule rule_for(const FetchOptions& options) {
  if (options.allow_private_networks || options.use_environment_proxy) {
    return [](const sockaddr&) { return true; };
  }
  return is_public_address;
}

}  // namespace

MediaFetcher::MediaFetcher(FetchOptions options) : MediaFetcher(options, rule_for(options)) {}

MediaFetcher::MediaFetcher(FetchOptions options, AddressRule rule)
    : options_(std::move(options)), rule_(std::move(rule)) {
  start_curl();
}

std::vector<std::uint8_t> MediaFetcher::fetch(std::string_view url, std::int64_t max_bytes) const {
  if (starts_with_ignoring_case(url, "data:")) return decode_data_url(url, max_bytes);
  if (starts_with_ignoring_case(url, "http://") || starts_with_ignoring_case(url, "https://")) {
    return fetch_http(std::string(url), max_bytes);
  }
  if (is_base64_data(url))
    throw Error(Code::invalid_argument,
                "[fetch] base64 data must be a data: URL: put 'data:image/png;base64,' (or its own "
                "type) before it");
  const bool other_scheme =
      !starts_with_ignoring_case(url, "file:") && url.find("://") != std::string_view::npos;
  if (other_scheme) refuse(url, "only data:, http:, https: and file: URLs are known");
  return read_local_file(url, options_.media_root, max_bytes);
}

std::vector<std::uint8_t> MediaFetcher::fetch_http(const std::string& url,
                                                   std::int64_t max_bytes) const {
  check_url(url);
  const Curl curl(curl_easy_init());
  if (curl == nullptr) throw Error(Code::internal, "[fetch] libcurl cannot start");
  Transfer transfer{max_bytes, rule_, {}};
  set_limits(curl.get(), options_, max_bytes);
  set_callbacks(curl.get(), transfer);
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_USERAGENT, "pippin");  // some hosts refuse a request without
  const CURLcode code = curl_easy_perform(curl.get());
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  if (code != CURLE_OK) fail(url, transfer, code, status);
  if (status / 100 != 2) refuse(url, "the remote answered with status " + std::to_string(status));
  return std::move(transfer.body);
}

}  // namespace pippin::media
