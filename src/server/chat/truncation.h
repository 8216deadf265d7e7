// Conversations that are longer than the model's context, cut to it.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "pippin/request.h"

namespace pippin::server {

/// Tokens of the prompt that these messages make.
using CountTokens = std::function<std::int64_t(const std::vector<Message>&)>;

/// Drops the oldest messages until the prompt has at most `most` tokens. What stays in any case: system messages at the head, the user's last
/// message, and the last of what the assistant did since, with the outputs of its calls. Whole turns go first (a user's
/// message and all behind it, up to the next), then what the assistant did in the last turn; calls and their outputs together.
void drop_oldest(std::vector<Message>& messages, std::int64_t most, const CountTokens& count);

}  // namespace pippin::server
