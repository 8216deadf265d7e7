#include "base/member_log.h"

namespace pippin {
namespace {

thread_local MemberLog* innermost = nullptr;

std::string below(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : path + "." + std::string(key);
}

bool has_members(const json::value& value) { return value.is_object() || value.is_array(); }

}  // namespace

MemberLog::MemberLog() : outer_(innermost) { innermost = this; }

MemberLog::~MemberLog() { innermost = outer_; }

void MemberLog::note(const json::object& object, const json::value* member) {
  if (!innermost) return;
  innermost->opened_.insert(&object);
  if (member) innermost->read_.insert(member);
}

std::vector<std::string> MemberLog::unread(const json::value& value,
                                           const std::string& path) const {
  std::vector<std::string> unread;
  collect(value, path, unread);
  return unread;
}

std::vector<std::string> MemberLog::unread_below(const json::object& document) const {
  std::vector<std::string> unread;
  for (const auto& [key, member] : document)
    if (read_.contains(&member)) collect(member, key, unread);
  return unread;
}

void MemberLog::collect(const json::value& value, const std::string& path,
                        std::vector<std::string>& unread) const {
  if (const json::array* items = value.if_array()) {
    for (std::size_t i = 0; i < items->size(); ++i)
      if (has_members((*items)[i])) collect((*items)[i], below(path, std::to_string(i)), unread);
    return;
  }
  const json::object* object = value.if_object();
  if (!object || !opened_.contains(object)) return;
  for (const auto& [key, member] : *object) {
    if (member.is_null()) continue;
    if (!read_.contains(&member))
      unread.push_back(below(path, key));
    else if (has_members(member))
      collect(member, below(path, key), unread);
  }
}

}  // namespace pippin
