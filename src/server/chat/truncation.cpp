#include "server/chat/truncation.h"

#include <algorithm>
#include <cstddef>

namespace pippin::server {
namespace {

// Messages that are dropped together.
struct Group {
  std::size_t begin, end;
};

bool is_user(const Message& message) { return message.role == "user"; }

std::size_t head_of(const std::vector<Message>& messages) {
  const auto end = std::find_if(messages.begin(), messages.end(),
                                [](const Message& message) { return message.role != "system"; });
  return static_cast<std::size_t>(end - messages.begin());
}

// Where groups begin from `begin` on: there, and at each message of which `starts`.
template <class Starts>
std::vector<Group> groups_of(const std::vector<Message>& messages, std::size_t begin,
                             std::size_t end, const Starts& starts) {
  std::vector<Group> groups;
  for (auto i = begin; i < end; ++i) {
    if (i == begin || starts(messages[i])) groups.push_back({i, i});
    groups.back().end = i + 1;
  }
  return groups;
}

// In the order in which they go.
std::vector<Group> droppable(const std::vector<Message>& messages) {
  const auto head = head_of(messages);
  const auto last = std::find_if(messages.rbegin(), messages.rend(), is_user);
  const auto behind_user = static_cast<std::size_t>(messages.rend() - last);  // 0 without one
  const auto last_turn = std::max(head, behind_user > 0 ? behind_user - 1 : 0);
  auto groups = groups_of(messages, head, last_turn, is_user);
  auto steps = groups_of(messages, std::max(head, behind_user), messages.size(),
                         [](const Message& message) { return message.role == "assistant"; });
  if (!steps.empty()) steps.pop_back();
  groups.insert(groups.end(), steps.begin(), steps.end());
  return groups;
}

std::vector<Message> without(const std::vector<Message>& messages, const std::vector<Group>& groups,
                             std::size_t count) {
  std::vector<Message> rest;
  std::size_t next = 0;
  for (std::size_t g = 0; g < count; ++g) {
    rest.insert(rest.end(), messages.begin() + static_cast<std::ptrdiff_t>(next),
                messages.begin() + static_cast<std::ptrdiff_t>(groups[g].begin));
    next = groups[g].end;
  }
  rest.insert(rest.end(), messages.begin() + static_cast<std::ptrdiff_t>(next), messages.end());
  return rest;
}

}  // namespace

void drop_oldest(std::vector<Message>& messages, std::int64_t most, const CountTokens& count) {
  if (count(messages) <= most) return;
  const auto groups = droppable(messages);
  std::size_t few = 0, enough = groups.size();  // the fewest that suffice are in (few, enough]
  while (few + 1 < enough) {
    const auto middle = (few + enough) / 2;
    (count(without(messages, groups, middle)) <= most ? enough : few) = middle;
  }
  messages = without(messages, groups, enough);
}

}  // namespace pippin::server
