// Lines that agents put at the head of a system prompt, that mean nothing to a model and differ from request to
// request: left in, they would make every prompt new from its first tokens on.
#pragma once

#include <vector>

#include "pippin/request.h"

namespace pippin::server {

/// Takes the known volatile lines out of the leading system messages, where one begins the message (or a part of it that
/// follows such a line only), together with the line breaks after it; a message that had nothing else goes, too, unless it
/// is the only one. Every other byte stays. Returns how many lines went.
///
/// The known lines:
/// - Claude Code's attribution: "x-anthropic-billing-header: cc_version=2.1.177.01c; cc_entrypoint=cli; cch=36ee5;". Its
///   fields are cc_version, then any of cch and cc_*, each "name=value;" after one space. cch and the end of cc_version
///   are hashes of the request.
int remove_volatile_lines(std::vector<Message>& messages);

}  // namespace pippin::server
