#include "server/page/page.h"

#include <algorithm>
#include <string>

#include "server/http/errors.h"
#include "server/page/page_files.h"

namespace pippin::server {
namespace {

constexpr std::string_view folder = "/page/";
constexpr std::string_view first_file = "index.html";

// What a model wrote is shown by the page. Should any of it get past the page's own cleaning, it can neither run nor call home.
constexpr const char* security_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; media-src data: blob:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types dompurify";

const PageFile* find_file(std::string_view path) {
  const std::string_view name = path == "/" ? first_file : path.substr(folder.size());
  const auto files = page_files();
  const auto found = std::find_if(files.begin(), files.end(),
                                  [&](const PageFile& file) { return file.name == name; });
  return found == files.end() ? nullptr : &*found;
}

Headers headers_of(const PageFile& file) {
  return {{"Content-Type", std::string(file.type)},
          {"ETag", std::string(file.tag)},
          {"Cache-Control", "no-cache"},
          {"Content-Security-Policy", security_policy},
          {"X-Content-Type-Options", "nosniff"},
          {"Referrer-Policy", "no-referrer"},
          {"Cross-Origin-Opener-Policy", "same-origin"},
          {"Cross-Origin-Resource-Policy", "same-origin"}};
}

// If-None-Match may list several tags, and proxies weaken them ("W/").
bool has_already(const HttpRequest& request, const PageFile& file) {
  const auto tags = request.headers.get("If-None-Match");
  return tags && tags->find(file.tag) != std::string_view::npos;
}

void show(Exchange& exchange) {
  const HttpRequest& request = exchange.request();
  const PageFile* file = find_file(request.path);
  if (!file)
    return exchange.respond(error_response(place_of(exchange), 404, "the page has no such file"));
  if (has_already(request, *file)) return exchange.respond({304, headers_of(*file), ""});
  exchange.respond({200, headers_of(*file), std::string(file->bytes)});
}

}  // namespace

bool is_page_path(std::string_view path) { return path == "/" || path.starts_with(folder); }

void add_page_routes(Router& router) {
  const auto handler = [](auto exchange) { show(*exchange); };
  router.add("GET", "/", {.summary = "The chat page", .answer = "text/html"}, handler,
             Where::io_thread);
  router.add("GET", std::string(folder) + "*",
             {.summary = "A file of the chat page", .answer = "*/*"}, handler, Where::io_thread);
}

}  // namespace pippin::server
