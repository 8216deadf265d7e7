#include "server/http/server.h"

#include <utility>

#include "server/http/core.h"

namespace pippin::server {

HttpServer::HttpServer(const HttpOptions& options, ThreadPool& pool)
    : core_(std::make_shared<HttpCore>(options, pool)) {}

HttpServer::~HttpServer() {
  shutdown(std::chrono::milliseconds(0));
  wait();
}

std::uint16_t HttpServer::port() const { return core_->port(); }
bool HttpServer::on_loopback() const { return core_->on_loopback(); }
void HttpServer::start(Router router, RequestObserver observer, Gate gate) {
  core_->start(std::move(router), std::move(observer), std::move(gate));
}
BodyStats HttpServer::bodies() const { return core_->body_stats(); }
void HttpServer::stop_on_signals(std::chrono::milliseconds drain) { core_->stop_on_signals(drain); }
void HttpServer::shutdown(std::chrono::milliseconds drain) { core_->shutdown(drain); }
void HttpServer::wait() { core_->wait(); }

bool HttpServer::wait_for_handlers(std::chrono::milliseconds patience) {
  return core_->exchanges()->wait_until_none(patience);
}

}  // namespace pippin::server
