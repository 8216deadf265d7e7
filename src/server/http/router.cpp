#include "server/http/router.h"

#include <algorithm>
#include <utility>

namespace pippin::server {
namespace {

bool fits(std::string_view pattern, std::string_view path) {
  if (!pattern.ends_with("/*")) return pattern == path;
  const std::string_view folder = pattern.substr(0, pattern.size() - 1);
  return path.starts_with(folder) && path.size() > folder.size();
}

// Without slashes doubled or at the end.
std::string with_single_slashes(std::string_view path) {
  std::string single;
  for (const char c : path)
    if (c != '/' || !single.ends_with('/')) single += c;
  if (single.size() > 1 && single.ends_with('/')) single.pop_back();
  return single;
}

void list(std::string& methods, std::string_view method) {
  if (!methods.empty()) methods += ", ";
  methods += method;
}

}  // namespace

void Router::add(std::string method, std::string path, Handler handler, Where where) {
  add(std::move(method), std::move(path), Operation(), std::move(handler), where);
}

void Router::add(std::string method, std::string path, Operation operation, Handler handler,
                 Where where) {
  routes_.push_back(
      {std::move(method), std::move(path), std::move(handler), where, std::move(operation)});
}

ErrorShape Router::error_shape(std::string_view path) const {
  for (const Route& route : routes_)
    if (path == route.path || path.starts_with(route.path + "/")) return route.operation.errors;
  return ErrorShape::openai;
}

bool Router::knows(std::string_view path) const {
  return std::any_of(routes_.begin(), routes_.end(),
                     [&](const Route& route) { return fits(route.path, path); });
}

std::string Router::canonical(std::string_view path) const {
  constexpr std::string_view version = "/v1";
  const bool has_plain_end = path.size() == 1 || !path.ends_with('/');
  if (has_plain_end && knows(path)) return std::string(path);
  std::string plain = with_single_slashes(path);
  while (plain.starts_with("/v1/v1/")) plain.erase(0, version.size());
  if (knows(plain)) return plain;
  plain.insert(0, version);
  return knows(plain) ? plain : std::string(path);
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
