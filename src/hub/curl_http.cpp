#include "hub/curl_http.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <exception>
#include <new>

namespace pippin::hub {
namespace {

constexpr long connect_timeout_s = 10;
constexpr long buffer_bytes = 512 * 1024;  // of a read; curl's own 16 KB cost calls

void start_curl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code != CURLE_OK) throw Error(Code::internal, "[hub] libcurl cannot start");
}

struct Close {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};

// What libcurl's callbacks get. No exception may pass through C, so the sink's is kept.
struct Transfer {
  Head head;
  const Sink& sink;
  std::exception_ptr failure;
};

std::string trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1));
}

void take_header(Transfer& transfer, std::string_view line) {
  if (line.starts_with("HTTP/")) {  // of "100 Continue", too: the last one counts
    transfer.head.headers.clear();
    return;
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return;
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  transfer.head.headers[name] = trimmed(line.substr(colon + 1));
}

class CurlHttp final : public Http {
 public:
  explicit CurlHttp(std::chrono::seconds silence) : silence_(static_cast<long>(silence.count())) {
    start_curl();
    curl_.reset(curl_easy_init());
    if (curl_ == nullptr) throw std::bad_alloc();
  }

  Head get(const Request& request, const Sink& sink) override {
    Transfer transfer{{}, sink, nullptr};
    char message[CURL_ERROR_SIZE] = {};
    set_up(request, transfer, message);
    const CURLcode code = curl_easy_perform(curl_.get());
    if (transfer.failure) std::rethrow_exception(transfer.failure);
    if (code == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
    if (code != CURLE_OK)
      throw NetworkError(message[0] != '\0' ? message : curl_easy_strerror(code));
    transfer.head.status = status();
    return std::move(transfer.head);
  }

 private:
  void set_up(const Request& request, Transfer& transfer, char* message) {
    CURL* curl = curl_.get();
    curl_easy_reset(curl);  // keeps the connections
    curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "pippin");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, connect_timeout_s);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, silence_);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, buffer_bytes);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message);
    if (request.from > 0)
      curl_easy_setopt(curl, CURLOPT_RANGE, (std::to_string(request.from) + "-").c_str());
    if (!request.token.empty()) {
      curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
      curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, request.token.c_str());
    }
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, this);
    transfer_ = &transfer;
  }

  int status() const {
    long status = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &status);
    return static_cast<int>(status);
  }

  static std::size_t on_header(char* data, std::size_t, std::size_t size, void* user) {
    auto& transfer = *static_cast<Transfer*>(user);
    try {
      take_header(transfer, {data, size});
    } catch (...) {
      transfer.failure = std::current_exception();
      return CURL_WRITEFUNC_ERROR;
    }
    return size;
  }

  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* user) {
    auto& self = *static_cast<CurlHttp*>(user);
    Transfer& transfer = *self.transfer_;
    try {
      transfer.head.status = self.status();
      transfer.sink(transfer.head, {data, size});
    } catch (...) {
      transfer.failure = std::current_exception();
      return CURL_WRITEFUNC_ERROR;
    }
    return size;
  }

  const long silence_;
  Transfer* transfer_ = nullptr;
  std::unique_ptr<CURL, Close> curl_;
};

}  // namespace

std::unique_ptr<Http> make_curl_http(std::chrono::seconds silence) {
  return std::make_unique<CurlHttp>(silence);
}

}  // namespace pippin::hub
