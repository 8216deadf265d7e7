// The chat page.
#pragma once

#include <string_view>

#include "server/http/router.h"

namespace pippin::server {

/// Whether a path is the page's or one of its files'. These hold no secrets, so that no key is needed for them; the page asks for
/// the key itself.
bool is_page_path(std::string_view path);

/// GET / (the page) and /page/* (what it loads). Every answer carries a Content-Security-Policy under which the page runs scripts
/// of these files alone, loads nothing from other machines, and stands in no frame. Browsers ask again each time and are told
/// where nothing has changed (ETag, 304).
void add_page_routes(Router& router);

}  // namespace pippin::server
