#include "media/fetch.h"

#include <curl/curl.h>

#include <algorithm>
#include <future>
#include <memory>
#include <utility>

#include "media/address.h"
#include "media/data_url.h"
#include "media/fetch_thread.h"
#include "media/local_file.h"
#include "media/url.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

[[noreturn]] void refuse(std::string_view url, const std::string& why) {
  throw Error(Code::invalid_argument, "[fetch] cannot fetch '" + shortened(url) + "': " + why);
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

MediaFetcher::AddressRule rule_for(const FetchOptions& options) {
  if (options.allow_private_networks || options.use_environment_proxy) {
    return [](const sockaddr&) { return true; };
  }
  return is_public_address;
}

Fetched wait_for(const MediaFetcher& fetcher, std::string_view url, std::int64_t max_bytes) {
  std::promise<MediaFetcher::Result> promise;
  fetcher.start({}, std::string(url), max_bytes, {},
                [&](MediaFetcher::Result result) { promise.set_value(std::move(result)); });
  MediaFetcher::Result result = promise.get_future().get();
  if (const auto* error = std::get_if<std::exception_ptr>(&result)) std::rethrow_exception(*error);
  return std::get<Fetched>(std::move(result));
}

}  // namespace

MediaFetcher::MediaFetcher(const FetchOptions& options)
    : MediaFetcher(options, rule_for(options)) {}

MediaFetcher::MediaFetcher(FetchOptions options, AddressRule rule)
    : options_(std::move(options)),
      thread_(std::make_unique<FetchThread>(options_, std::move(rule))) {}

MediaFetcher::~MediaFetcher() = default;

bool MediaFetcher::is_remote(std::string_view url) {
  return starts_with_ignoring_case(url, "http://") || starts_with_ignoring_case(url, "https://");
}

std::vector<std::uint8_t> MediaFetcher::fetch(std::string_view url, std::int64_t max_bytes) const {
  if (starts_with_ignoring_case(url, "data:")) return decode_data_url(url, max_bytes);
  if (is_remote(url)) return wait_for(*this, url, max_bytes).bytes;
  if (is_base64_data(url))
    throw Error(Code::invalid_argument,
                "[fetch] base64 data must be a data: URL: put 'data:image/png;base64,' (or its own "
                "type) before it");
  const bool other_scheme =
      !starts_with_ignoring_case(url, "file:") && url.find("://") != std::string_view::npos;
  if (other_scheme) refuse(url, "only data:, http:, https: and file: URLs are known");
  return read_local_file(url, options_.media_root, max_bytes);
}

void MediaFetcher::start(const Client& client, std::string url, std::int64_t max_bytes,
                         std::function<bool()> wanted, Done done) const {
  check_url(url);
  thread_->add(client, {std::move(url), max_bytes, std::move(wanted), std::move(done)});
}

MediaFetcher::Stats MediaFetcher::stats() const { return thread_->stats(); }

}  // namespace pippin::media
