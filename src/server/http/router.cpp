#include "server/http/router.h"

#include <utility>

namespace pippin::server {
namespace {

bool fits(std::string_view pattern, std::string_view path) {
  if (!pattern.ends_with("/*")) return pattern == path;
  const std::string_view folder = pattern.substr(0, pattern.size() - 1);
  return path.starts_with(folder) && path.size() > folder.size();
}

void list(std::string& methods, std::string_view method) {
  if (!methods.empty()) methods += ", ";
  methods += method;
}

}  // namespace

void Router::add(std::string method, std::string path, Handler handler, Where where) {
  routes_.push_back({std::move(method), std::move(path), std::move(handler), where});
}

Router::Match Router::match(std::string_view method, std::string_view path) const {
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  Match match;
  for (const Route& route : routes_) {
    if (!fits(route.path, path)) continue;
    if (route.method == wanted) return {&route, ""};
    list(match.allowed, route.method);
    if (route.method == "GET") list(match.allowed, "HEAD");
  }
  return match;
}

}  // namespace pippin::server
