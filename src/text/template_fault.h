// Which message of a conversation a chat template fails on.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "pippin/error.h"
#include "pippin/request.h"
#include "text/chat_template.h"

namespace pippin::text {

/// Index of the message with which the conversation begins to fail with `fault`, as it does as a whole. Renders about log2(n) of its
/// beginnings, for a second at most. `input` is that of the whole; its messages are not read. Absent where the template fails without
/// any message, or where no message is found in time.
std::optional<std::size_t> message_at_fault(const ChatTemplate& chat_template,
                                            const std::vector<Message>& messages, ChatInput input,
                                            const Error& fault);

}  // namespace pippin::text
