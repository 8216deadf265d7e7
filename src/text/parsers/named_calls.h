// Calls written as a head that names the tool and JSON arguments behind it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "text/parsers/sections.h"
#include "text/parsers/tools.h"

namespace pippin::text {

/// What a call's head says.
struct CallHead {
  std::string name;
  std::string id = {};  ///< empty where it has none
};

/// Names that tools may have: no white space, brackets or quotes, and not endless.
bool is_tool_name(std::string_view name);

/// The head is all from the call's tag to the arguments' brace; `parse` makes sense of it.
class NamedCalls final : public CallReader {
 public:
  /// Nothing where it is no head.
  using ParseHead = std::optional<CallHead> (*)(std::string_view head);

  struct Layout {
    std::string_view call;      ///< before each call; empty where the markup is one call
    std::string_view call_end;  ///< behind each call's arguments; empty for none
    /// Instead of a head: what follows is text, and no call.
    std::string_view text_head = {};
    /// Only calls of these tools are calls, since the tag may stand in a text. Null: any are.
    std::shared_ptr<const Tools> offered = nullptr;
  };

  NamedCalls(Tags tags, Layout layout, ParseHead parse)
      : CallReader(std::move(tags)), layout_(std::move(layout)), parse_(parse) {}

  void begin(std::string_view tag) override;
  Progress read(Input& input, OutputWriter& writer) override;

 private:
  enum class State { between, head, arguments, behind };

  Progress read_between(Input& input);
  Progress read_head(Input& input, OutputWriter& writer);
  Progress read_arguments(Input& input, OutputWriter& writer);
  Progress read_behind(Input& input);

  const Layout layout_;
  const ParseHead parse_;
  State state_ = State::between;
  std::string head_;
};

}  // namespace pippin::text
