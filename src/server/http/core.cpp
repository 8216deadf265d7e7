#include "server/http/core.h"

#include <boost/asio/post.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <random>
#include <utility>

#include <spdlog/fmt/fmt.h>

#include "base/insist.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "pippin/error.h"
#include "server/http/connection.h"
#include "server/http/errors.h"

namespace pippin::server {
namespace {

using boost::system::error_code;

// Connections past the limit that are still told so; past these they are closed without a word.
constexpr std::size_t max_refusals = 64;
// Where the system has no file descriptor left, accepting again at once would only spin.
constexpr std::chrono::milliseconds accept_pause{100};

// splitmix64 (Steele, Lea, Flood 2014): distinct inputs give distinct, evenly spread outputs.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// Limits the bytes that the system takes from us ahead of what it sends: a client that does not read is noticed after so many, instead
// of after the megabytes that it would keep for it. What is under way is not limited.
void limit_unsent(tcp::socket& socket) {
  constexpr int bytes = 32 << 10;
  ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

// What connections of one client are counted by: in IPv6 the network, of which a client has many addresses.
std::string counted_address(const asio::ip::address& address) {
  if (address.is_v4()) return address.to_string();
  const asio::ip::address_v6 v6 = address.to_v6();
  if (v6.is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, v6).to_string();
  const auto bytes = v6.to_bytes();
  return {bytes.begin(), bytes.begin() + 8};
}

// Sets a new connection up; returns who is at its other end.
Peer prepare(tcp::socket& socket) {
  error_code error;
  // A token is a small packet; waiting to fill a larger one would delay it.
  socket.set_option(tcp::no_delay(true), error);
  limit_unsent(socket);
  const tcp::endpoint peer = socket.remote_endpoint(error);
  if (error) return {"?", "?"};
  return {peer.address().to_string() + ":" + std::to_string(peer.port()),
          counted_address(peer.address())};
}

Peer prepare(asio::local::stream_protocol::socket&) { return {"unix", "unix"}; }

// A body without a type is taken for what is expected. The types that web pages may send anywhere unasked are not among these.
bool is_json(const HttpRequest& request) {
  const std::string_view type = request.headers.get("Content-Type").value_or("");
  std::string media_type(type.substr(0, type.find(';')));
  std::erase_if(media_type, [](char c) { return c == ' ' || c == '\t'; });
  std::transform(media_type.begin(), media_type.end(), media_type.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return media_type.empty() || media_type == "application/json" || media_type.ends_with("+json");
}

std::size_t max_per_address(const HttpOptions& options) {
  const int limit = options.max_headers_per_address;
  return static_cast<std::size_t>(limit > 0 ? limit : std::max(8, options.max_connections / 2));
}

// A server that was killed leaves its file behind, which nobody can bind again.
void remove_deserted(asio::io_context& io, const asio::local::stream_protocol::endpoint& endpoint) {
  std::error_code unknown;
  if (!std::filesystem::is_socket(endpoint.path(), unknown)) return;
  asio::local::stream_protocol::socket probe(io);
  error_code error;
  probe.connect(endpoint, error);
  if (error == asio::error::connection_refused) std::filesystem::remove(endpoint.path(), unknown);
}

}  // namespace

void ExchangeCount::add(int change) {
  bool trims = false;
  {
    const MutexLock lock(mutex_);
    count_ += change;
    if (count_ == 0) {
      trims = std::exchange(had_large_, false);
      none_.notify_all();
    }
  }
  if (trims) trim_heap();
}

void ExchangeCount::note_large_body() {
  const MutexLock lock(mutex_);
  had_large_ = true;
}

bool ExchangeCount::wait_until_none(std::chrono::milliseconds patience) {
  MutexLock lock(mutex_);
  return none_.wait_for(mutex_, patience, [this]() REQUIRES(mutex_) { return count_ == 0; });
}

HttpCore::HttpCore(const HttpOptions& options, ThreadPool& pool)
    : options_(options),
      tls_(make_tls_context(options)),
      pool_(pool),
      bodies_(
          static_cast<std::int64_t>(std::max(options.max_bodies_bytes, options.max_body_bytes))),
      io_(1),
      acceptor_(io_),
      file_acceptor_(io_),
      drain_timer_(io_),
      accept_timer_(io_),
      signals_(io_),
      waiting_(max_per_address(options)) {
  std::random_device random;
  id_seed_ = (std::uint64_t{random()} << 32) | random();
  bind();
}

void HttpCore::bind() {
  if (options_.unix_socket.empty())
    bind_port();
  else
    bind_file();
}

void HttpCore::bind_file() {
  const auto& file = options_.unix_socket;
  error_code error;
  try {
    const asio::local::stream_protocol::endpoint endpoint(file.string());
    remove_deserted(io_, endpoint);
    file_acceptor_.open(endpoint.protocol(), error);
    if (!error) file_acceptor_.bind(endpoint, error);
  } catch (const boost::system::system_error& too_long) {
    error = too_long.code();
  }
  if (error)
    throw Error(Code::unavailable,
                "[http] can't listen on " + file.string() + ": " + error.message());
  // Nobody can connect before listen().
  std::filesystem::permissions(file, std::filesystem::perms(0660));
}

void HttpCore::bind_port() {
  const std::string where = options_.host + ":" + std::to_string(options_.port);
  error_code error;
  tcp::resolver resolver(io_);
  const auto found =
      resolver.resolve(options_.host, std::to_string(options_.port), tcp::resolver::passive, error);
  if (error || found.empty())
    throw Error(Code::invalid_argument, "[http] can't find the address of host '" + options_.host +
                                            "': " + error.message());
  // "localhost" is ::1, too; clients that try one address only try 127.0.0.1.
  const auto v4 = std::find_if(found.begin(), found.end(), [](const auto& entry) {
    return entry.endpoint().address().is_v4();
  });
  const tcp::endpoint endpoint = (v4 == found.end() ? found.begin() : v4)->endpoint();
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (error)
    throw Error(Code::unavailable, "[http] can't listen on " + where + ": " + error.message());
  port_ = acceptor_.local_endpoint().port();
  on_loopback_ = endpoint.address().is_loopback();
}

void HttpCore::start(Router router, RequestObserver observer, Gate gate) {
  router_ = std::move(router);
  observer_ = std::move(observer);
  gate_ = std::move(gate);
  listen();
  asio::post(io_, [this] { accept_next(); });
  thread_ = std::thread([this] { run_io(); });
}

BodyStats HttpCore::body_stats() const {
  const ByteBudget::Stats stats = bodies_.stats();
  return {stats.used, stats.limit, refused_bodies_};
}

void HttpCore::listen() {
  constexpr int backlog = asio::socket_base::max_listen_connections;
  error_code error;
  if (file_acceptor_.is_open())
    file_acceptor_.listen(backlog, error);
  else
    acceptor_.listen(backlog, error);
  // Two servers may bind one port before either listens; the second one's listen() fails.
  if (error)
    throw Error(Code::unavailable, "[http] can't listen on " + options_.host + ":" +
                                       std::to_string(port_) + ": " + error.message());
}

void HttpCore::run_io() {
  for (;;) {
    try {
      io_.run();
      return;
    } catch (const std::exception& bug) {
      insist([&] { spdlog::error("[http] an event failed: {}", bug.what()); });
      io_.restart();  // it has stopped where that event was all that it waited for
      insist([this] { asio::post(io_, [this] { accept_again(); }); });
    }
  }
}

void HttpCore::wait() {
  if (thread_.joinable()) thread_.join();
}

void HttpCore::accept_next() {
  if (draining_) return;
  if (file_acceptor_.is_open())
    accept_from(file_acceptor_);
  else
    accept_from(acceptor_);
}

// The event that failed may have been the next connection's.
void HttpCore::accept_again() {
  if (draining_) return;
  error_code ignored;
  (file_acceptor_.is_open() ? file_acceptor_.cancel(ignored) : acceptor_.cancel(ignored));
  accept_next();
}

template <class Acceptor>
void HttpCore::accept_from(Acceptor& acceptor) {
  using Socket = typename Acceptor::protocol_type::socket;
  acceptor.async_accept([this](error_code error, Socket socket) {
    if (draining_ || error == asio::error::operation_aborted) return;
    if (!error) {
      try_admit(std::move(socket));
      insist([this] { accept_next(); });
    } else {
      spdlog::warn("[http] can't accept a connection: {}", error.message());
      retry_accept_later();
    }
  });
}

// A connection that there is no memory for is closed.
template <class Socket>
void HttpCore::try_admit(Socket socket) {
  try {
    Peer peer = prepare(socket);
    admit(std::move(socket), std::move(peer));
  } catch (const std::bad_alloc&) {
    spdlog::warn("[http] no memory is left for a new connection");
  }
}

void HttpCore::admit(StreamSocket socket, Peer peer) {
  const std::size_t limit = static_cast<std::size_t>(options_.max_connections);
  if (connections_.size() >= limit + max_refusals) return;  // the socket closes
  const bool full = connections_.size() - leaving_.size() >= limit && !make_room();
  const std::uint64_t number = next_connection_++;
  const std::string address = peer.address;
  auto connection = std::make_shared<HttpConnection>(
      shared_from_this(), number, make_transport(std::move(socket), tls_.get()), std::move(peer));
  connections_.emplace(number, connection);  // which takes itself out
  if (!full) waits(number, address, WaitingConnections::Stage::header);
  connection->start(full);
}

bool HttpCore::make_room() {
  const auto oldest = waiting_.take_oldest();
  if (oldest) evict(*oldest);
  return oldest.has_value();
}

void HttpCore::waits(std::uint64_t number, const std::string& address,
                     WaitingConnections::Stage stage) {
  const auto too_many = waiting_.add(number, address, stage);
  if (!too_many) return;
  // Nobody else would evict it: it is not known to wait any more.
  insist([&] { asio::post(io_, [this, number = *too_many] { evict(number); }); });
}

void HttpCore::evict(std::uint64_t number) {
  const auto found = connections_.find(number);
  const auto connection = found == connections_.end() ? nullptr : found->second.lock();
  if (!connection) return;
  insist([&] { leaving_.insert(number); });
  connection->evict();
}

void HttpCore::retry_accept_later() {
  accept_timer_.expires_after(accept_pause);
  accept_timer_.async_wait([this](error_code error) {
    if (!error) accept_next();
  });
}

void HttpCore::stop_on_signals(std::chrono::milliseconds drain) {
  signals_.add(SIGINT);
  signals_.add(SIGTERM);
  await_signal(drain);
}

void HttpCore::await_signal(std::chrono::milliseconds drain) {
  signals_.async_wait([this, drain](error_code error, int signal) {
    if (error) return;
    spdlog::info("[http] {}: {}", signal == SIGINT ? "SIGINT" : "SIGTERM",
                 draining_ ? "closing now" : "finishing what runs, then stopping");
    begin_drain(draining_ ? std::chrono::milliseconds(0) : drain);
    if (!connections_.empty()) await_signal(drain);
  });
}

void HttpCore::shutdown(std::chrono::milliseconds drain) {
  asio::post(io_, [this, drain] { begin_drain(drain); });
}

void HttpCore::begin_drain(std::chrono::milliseconds drain) {
  draining_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  if (file_acceptor_.is_open()) {
    file_acceptor_.close(ignored);
    std::error_code gone;
    std::filesystem::remove(options_.unix_socket, gone);
  }
  accept_timer_.cancel();
  drain_timer_.expires_after(drain);
  drain_timer_.async_wait([this](error_code error) {
    if (!error) stop_connections(true);
  });
  stop_connections(drain.count() == 0);
  finish_if_empty();
}

void HttpCore::stop_connections(bool now) {
  for (const auto& [number, weak] : connections_)
    if (const auto connection = weak.lock()) connection->stop(now);
}

void HttpCore::remove(std::uint64_t number) {
  insist([&] {
    asio::post(io_, [this, number] {
      connections_.erase(number);
      leaving_.erase(number);
      finish_if_empty();
    });
  });
}

// With the last connection gone nothing may keep the I/O thread waiting.
void HttpCore::finish_if_empty() {
  if (!draining_ || !connections_.empty()) return;
  drain_timer_.cancel();
  signals_.cancel();
}

void HttpCore::post(std::function<void()> task) {
  insist([&] { pool_.post(task); });
}

void HttpCore::dispatch(std::shared_ptr<Exchange> exchange) {
  const HttpRequest& request = exchange->request();
  Router::Match match = router_.match(request.method, request.path);
  if (!match.route) {
    const bool known = !match.allowed.empty();
    HttpResponse response = error_response(
        place_of(*exchange), known ? 405 : 404,
        request.method + " " + request.path +
            (known ? " is not allowed; allowed: " + match.allowed : " is unknown to this server"));
    if (known) response.headers.add("Allow", match.allowed);
    return exchange->respond(std::move(response));
  }
  exchange->record().route = match.route->path;
  if (request.method == "POST" && !is_json(request))
    return exchange->respond(
        error_response(place_of(*exchange), 415,
                       "the body must be JSON, with 'Content-Type: application/json'", "body"));
  const Handler& handler = match.route->handler;
  auto work = [self = shared_from_this(), exchange, &handler] {
    answering_errors(*exchange, [&] { handler(exchange); });
  };
  if (match.route->where == Where::io_thread)
    work();
  else
    post(work);
}

std::string HttpCore::make_id() { return fmt::format("req_{:016x}", mix(id_seed_ + next_id_++)); }

}  // namespace pippin::server
