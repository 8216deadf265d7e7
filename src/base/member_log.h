// Which members of a document its reader has looked at, and so which it passes over.
#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "base/json.h"

namespace pippin {

/// Notes, while it lives, what Members of its thread look at. Logs nest: the innermost one notes. What it names must stay where it
/// is meanwhile.
class MemberLog {
 public:
  MemberLog();
  ~MemberLog();
  MemberLog(const MemberLog&) = delete;
  MemberLog& operator=(const MemberLog&) = delete;

  /// Members has looked into `object` for `member`, null where there is none.
  static void note(const json::object& object, const json::value* member);

  /// The paths ("messages.0.mood") of members that were not looked at, in objects that were looked into, below `value`, whose path
  /// is `path`. An object that was taken whole, as nobody looked into it, has none; null members say nothing.
  std::vector<std::string> unread(const json::value& value, const std::string& path) const;
  /// The same below each member of a document's top level that was looked at, but none of the top level itself.
  std::vector<std::string> unread_below(const json::object& document) const;

 private:
  void collect(const json::value& value, const std::string& path,
               std::vector<std::string>& unread) const;

  std::unordered_set<const json::object*> opened_;
  std::unordered_set<const json::value*> read_;
  MemberLog* const outer_;
};

}  // namespace pippin
