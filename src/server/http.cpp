#include "server/http.h"

#include <utility>

#include "server/http_core.h"

namespace pippin::server {

HttpServer::HttpServer(const HttpOptions& options, Router router, ThreadPool& pool)
    : core_(std::make_shared<HttpCore>(options, std::move(router), pool)) {}

HttpServer::~HttpServer() {
  shutdown(std::chrono::milliseconds(0));
  wait();
}

std::uint16_t HttpServer::port() const { return core_->port(); }
void HttpServer::start() { core_->start(); }
void HttpServer::stop_on_signals(std::chrono::milliseconds drain) { core_->stop_on_signals(drain); }
void HttpServer::shutdown(std::chrono::milliseconds drain) { core_->shutdown(drain); }
void HttpServer::wait() { core_->wait(); }

}  // namespace pippin::server
