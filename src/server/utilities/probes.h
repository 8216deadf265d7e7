// What clients of other servers ask to learn which server and which model they have found.
#pragma once

#include "server/chat/service.h"
#include "server/http/router.h"

namespace pippin::server {

/// GET /props (llama.cpp's), /api/v0/models and /api/v0/models/{id} (LM Studio's). The service must outlive the router.
void add_probes(Router& router, const ChatService& service);

}  // namespace pippin::server
