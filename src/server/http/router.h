// Which handler answers which method and path.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/http/exchange.h"
#include "server/schema/operation.h"

namespace pippin::server {

/// Where a handler runs.
enum class Where {
  worker,     ///< on the thread pool: may take its time
  io_thread,  ///< at once on the I/O thread, whatever the workers are busy with: microseconds only
};

/// A table of routes, filled before the server starts and only read from then on.
class Router {
 public:
  struct Route {
    std::string method;
    std::string path;
    Handler handler;
    Where where = Where::worker;
    Operation operation = {};
  };

  /// What a request met: a route, or the methods that its path would allow (none: the path is
  /// unknown).
  struct Match {
    const Route* route = nullptr;
    std::string allowed;  ///< "GET, HEAD"
  };

  /// `path` is exact, or ends in "/*", which takes any non-empty rest, slashes included. A GET
  /// route answers HEAD, too.
  void add(std::string method, std::string path, Handler handler, Where where = Where::worker);
  /// The same, with what the documents say of the route.
  void add(std::string method, std::string path, Operation operation, Handler handler,
           Where where = Where::worker);

  Match match(std::string_view method, std::string_view path) const;

  /// The path as the routes have it, where clients spell it otherwise: with slashes doubled or at its end, without "/v1" or with
  /// two of them, as the address that they were given has it or not. Other paths stay as they are.
  std::string canonical(std::string_view path) const;

  /// The shape of errors at `path`: that of the route of this path, or of a route above it in the path.
  ErrorShape error_shape(std::string_view path) const;

  const std::vector<Route>& routes() const { return routes_; }

 private:
  bool knows(std::string_view path) const;

  std::vector<Route> routes_;
};

}  // namespace pippin::server
