#include "server/http/client.h"

#include <curl/curl.h>

#include <map>
#include <utility>

#include "pippin/error.h"

namespace pippin::server {
namespace {

// curl's handles are all of one type to C++.
struct EasyCleanup {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct MultiCleanup {
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};
struct ListCleanup {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Fields = std::unique_ptr<curl_slist, ListCleanup>;

struct Transfer {
  HttpCall call;
  Fields headers;
  std::unique_ptr<CURL, EasyCleanup> handle;
};

std::size_t take(char* data, std::size_t, std::size_t size, void* transfer) {
  const auto& call = static_cast<Transfer*>(transfer)->call;
  if (call.on_data) call.on_data({data, size});
  return size;
}

Fields list_of(const std::vector<std::string>& headers) {
  Fields list;
  for (const auto& header : headers) list.reset(curl_slist_append(list.release(), header.c_str()));
  return list;
}

void set_up(Transfer& transfer) {
  CURL* curl = transfer.handle.get();
  const HttpCall& call = transfer.call;
  curl_easy_setopt(curl, CURLOPT_URL, call.url.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(call.timeout.count()));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, transfer.headers.get());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  if (call.body.empty()) return;
  curl_easy_setopt(curl, CURLOPT_POST, 1L);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call.body.data());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
}

}  // namespace

struct HttpClient::State {
  std::unique_ptr<CURLM, MultiCleanup> multi;
  std::map<CURL*, std::unique_ptr<Transfer>> transfers;

  void end(CURL* handle, CURLcode result) {
    curl_multi_remove_handle(multi.get(), handle);
    auto node = transfers.extract(handle);
    const std::unique_ptr<Transfer> transfer = std::move(node.mapped());
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    if (!transfer->call.on_end) return;
    if (result == CURLE_OK)
      transfer->call.on_end(static_cast<int>(status), "");
    else
      transfer->call.on_end(0, curl_easy_strerror(result));
  }
};

HttpClient::HttpClient() : state_(std::make_unique<State>()) {
  state_->multi.reset(curl_multi_init());
  if (!state_->multi) throw Error(Code::internal, "[http] curl can't be set up");
  curl_multi_setopt(state_->multi.get(), CURLMOPT_MAXCONNECTS, 4096L);
}

HttpClient::~HttpClient() { abandon(); }

void HttpClient::start(HttpCall call) {
  auto transfer = std::make_unique<Transfer>();
  transfer->call = std::move(call);
  transfer->headers = list_of(transfer->call.headers);
  transfer->handle.reset(curl_easy_init());
  if (!transfer->handle) throw Error(Code::internal, "[http] curl can't be set up");
  set_up(*transfer);
  CURL* handle = transfer->handle.get();
  curl_multi_add_handle(state_->multi.get(), handle);
  state_->transfers.emplace(handle, std::move(transfer));
}

void HttpClient::poll(std::chrono::milliseconds at_most) {
  CURLM* multi = state_->multi.get();
  int running = 0;
  curl_multi_perform(multi, &running);
  bool ended = false;
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    state_->end(message->easy_handle, message->data.result);
    ended = true;
  }
  if (!ended) curl_multi_poll(multi, nullptr, 0, static_cast<int>(at_most.count()), nullptr);
}

std::size_t HttpClient::num_active() const { return state_->transfers.size(); }

void HttpClient::abandon() {
  for (const auto& [handle, transfer] : state_->transfers)
    curl_multi_remove_handle(state_->multi.get(), handle);
  state_->transfers.clear();
}

}  // namespace pippin::server
