#include "text/template_fault.h"

#include <chrono>
#include <string_view>

#include "text/messages.h"

namespace pippin::text {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds patience{1};

// Whether the first `count` messages fail in the same words.
bool fails(const ChatTemplate& chat_template, const std::vector<Message>& messages,
           std::size_t count, ChatInput& input, const Error& fault) {
  const auto end = messages.begin() + static_cast<std::ptrdiff_t>(count);
  input.messages_json = messages_json({messages.begin(), end});
  try {
    chat_template.render(input);
    return false;
  } catch (const Error& error) {
    return std::string_view(error.what()) == fault.what();
  }
}

}  // namespace

std::optional<std::size_t> message_at_fault(const ChatTemplate& chat_template,
                                            const std::vector<Message>& messages, ChatInput input,
                                            const Error& fault) {
  if (fault.code() != Code::invalid_argument) return {};
  const auto end = Clock::now() + patience;
  std::size_t good = 0, bad = messages.size();
  if (!fails(chat_template, messages, bad, input, fault)) return {};
  if (fails(chat_template, messages, good, input, fault)) return {};
  while (bad - good > 1) {
    if (Clock::now() >= end) return {};
    const std::size_t middle = good + (bad - good) / 2;
    (fails(chat_template, messages, middle, input, fault) ? bad : good) = middle;
  }
  return good;
}

}  // namespace pippin::text
