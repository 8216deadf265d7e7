#include "engine/constrain/channel_tracker.h"

#include <algorithm>
#include <utility>

#include "text/parsers/channels.h"

namespace pippin::engine {

namespace channels = text::channels;

namespace {

// An answer without any header looks like an endless one.
constexpr std::size_t max_header_bytes = 1024;

}  // namespace

std::optional<ChannelMarks> ChannelMarks::find(const text::Tokenizer& tokenizer) {
  ChannelMarks marks{};
  for (const auto spelling : channels::marks()) {
    const auto id = tokenizer.token_to_id(spelling);
    if (!id || !tokenizer.is_special(*id)) return {};
    marks.all.push_back(*id);
    if (spelling == channels::start) marks.start = *id;
    if (spelling == channels::channel) marks.channel = *id;
    if (spelling == channels::message) marks.message = *id;
  }
  return marks;
}

ChannelTracker::ChannelTracker(std::shared_ptr<const text::Tokenizer> tokenizer, ChannelMarks marks,
                               std::string_view prompt, bool with_calls)
    : tokenizer_(std::move(tokenizer)), marks_(std::move(marks)), with_calls_(with_calls) {
  const auto open = channels::open_message(prompt);
  header_ = open.header;
  if (open.in_body) begin_body();
}

void ChannelTracker::accept(std::int32_t token) {
  if (in_header_) {
    if (token == marks_.message)
      begin_body();
    else if (header_.size() < max_header_bytes)
      header_ += tokenizer_->token_bytes(token);
  } else if (is_mark(token)) {
    thinking_ = false;
    in_header_ = token == marks_.start || token == marks_.channel;
    header_ = token == marks_.channel ? channels::channel : "";
  } else if (thinking_) {
    ++num_thought_;
  }
}

void ChannelTracker::begin_body() {
  const auto header = channels::read_header(header_);
  in_header_ = false;
  thinking_ = header.channel == "analysis" && !(with_calls_ && !header.recipient.empty());
}

bool ChannelTracker::is_mark(std::int32_t token) const {
  return std::find(marks_.all.begin(), marks_.all.end(), token) != marks_.all.end();
}

}  // namespace pippin::engine
