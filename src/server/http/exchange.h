// HTTP as handlers see it: a request, and the exchange through which it is answered. No HTTP
// library here.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/observe/request_record.h"
#include "server/schema/operation.h"

namespace pippin::server {

/// Header fields in the order given; names compare without case.
class Headers {
 public:
  using Field = std::pair<std::string, std::string>;

  Headers() = default;
  Headers(std::initializer_list<Field> fields) : fields_(fields) {}

  void add(std::string name, std::string value) {
    fields_.emplace_back(std::move(name), std::move(value));
  }
  /// In place of all fields of that name.
  void set(std::string_view name, std::string value);
  /// The first field of that name.
  std::optional<std::string_view> get(std::string_view name) const;

  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }

 private:
  std::vector<Field> fields_;
};

struct HttpRequest {
  std::string method;  ///< as sent: "GET"
  std::string path;    ///< percent-decoded, without the query: "/v1/models"
  std::string query;   ///< what follows '?', as sent
  Headers headers;
  std::string body;
  std::string peer;  ///< "127.0.0.1:54321"
  std::string id;    ///< X-Request-Id: the client's where it sent a usable one, else made here
  ErrorShape error_shape = ErrorShape::openai;  ///< of the errors that answer it
};

struct HttpResponse {
  int status = 200;
  Headers headers;  ///< Content-Length, Date, Connection and X-Request-Id are added when it is sent
  std::string body;
};

/// A response of type application/json.
HttpResponse json_response(int status, std::string body);

/// Who sends a request, as far as the gate knows.
struct Caller {
  std::string id;     ///< stands for the key that was shown; empty: none was
  bool admin = true;  ///< may do what concerns all callers
};

/// One request being answered. Every method may be called from any thread and returns at once, so a
/// handler may return and be continued by events of other threads. Either respond() once, or
/// start_stream(), write()s and finish(). Dropping the last reference before that answers 500, or
/// cuts the stream off. Callbacks run on a worker and are released when the exchange has ended or
/// the client has gone; they may come while that happens.
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual const HttpRequest& request() const = 0;
  /// The request's body has been read: it is empty from now on, and others get its memory. Called by the handler's thread.
  virtual void drop_body() = 0;
  virtual const Caller& caller() const = 0;

  /// Where a handler notes what it knows of the request; by one thread at a time, until it lets go of the exchange.
  virtual RequestRecord& record() = 0;

  /// The whole answer. Ignored (and logged) where an answer has been started.
  virtual void respond(HttpResponse response) = 0;

  /// Begins a 200 answer of unknown length.
  virtual void start_stream(Headers headers) = 0;

  /// From now on `piece` is sent whenever nothing else has been for HttpOptions::keep_alive_interval, until the stream ends.
  virtual void keep_alive_with(std::string piece) = 0;

  /// Sends a piece of the stream. `on_written` is called when the bytes have left for the network;
  /// a producer that waits for it before the next write holds one piece in memory, however slowly
  /// the client reads.
  virtual void write(std::string piece, std::function<void()> on_written) = 0;

  /// Ends the stream.
  virtual void finish() = 0;

  /// Calls `gone` once when the client goes away (at once where it has) before the answer's end.
  virtual void on_disconnect(std::function<void()> gone) = 0;

  /// Whether the client has gone away; worth asking before long work.
  virtual bool disconnected() const = 0;

  /// Whether respond() or start_stream() has been called.
  virtual bool started() const = 0;
};

/// How a request is let in, or not.
struct Admission {
  std::optional<HttpResponse> refusal;  ///< the answer, in place of a handler's
  Headers headers;                      ///< of the answer, whatever it is
  std::shared_ptr<void> held;           ///< until the exchange has ended and nobody has it any more
  Caller caller;
  /// Whether the body of a request that is let in is read. Where it is not, a request that has one is its connection's last.
  bool reads_body = true;
};

/// Judges a request by its header, before any of its body is waited for or "100 Continue" is sent; returns at once. Any thread.
using Gate = std::function<Admission(const HttpRequest& head)>;

using Handler = std::function<void(std::shared_ptr<Exchange>)>;

}  // namespace pippin::server
