// Mistral, to 2024: [TOOL_CALLS] [{"name": "f", "arguments": {"a": 1}}]
// since 2025: [TOOL_CALLS]f[ARGS]{"a": 1}[TOOL_CALLS]g[CALL_ID]123456789[ARGS]{}
#include "text/parsers/call_id.h"
#include "text/parsers/formats.h"
#include "text/parsers/json_calls.h"
#include "text/parsers/named_calls.h"

namespace pippin::text {
namespace {

constexpr std::string_view id_tag = "[CALL_ID]";
constexpr std::string_view arguments_tag = "[ARGS]";

std::optional<CallHead> parse_head(std::string_view head) {
  head = trimmed(head);
  if (head.ends_with(arguments_tag)) head.remove_suffix(arguments_tag.size());
  const auto at = head.find(id_tag);
  const auto id =
      at == std::string_view::npos ? std::string_view() : head.substr(at + id_tag.size());
  // Mistral's templates refuse ids of any other length than nine.
  return CallHead{std::string(trimmed(head.substr(0, at))),
                  id.empty() ? random_letters(9) : std::string(trimmed(id))};
}

CallReader::Tags tags_of_mistral() {
  return {.begin = {"[TOOL_CALLS]"}, .bare = {}, .end = "", .inner = {id_tag, arguments_tag}};
}

class MistralCalls final : public CallReader {
 public:
  MistralCalls()
      : CallReader(tags_of_mistral()),
        list_(tags_of_mistral(), JsonCalls::Options{.id_letters = 9}),
        named_(tags_of_mistral(), NamedCalls::Layout{"", ""}, parse_head) {}

  void begin(std::string_view) override { chosen_ = nullptr; }

  Progress read(Input& input, OutputWriter& writer) override {
    if (!chosen_) {
      input.skip_space();
      if (input.empty()) return Progress::more;
      const bool json = input.front() == '[' || input.front() == '{';
      chosen_ = json ? static_cast<CallReader*>(&list_) : &named_;
      chosen_->begin("");
    }
    return chosen_->read(input, writer);
  }

 private:
  JsonCalls list_;
  NamedCalls named_;
  CallReader* chosen_ = nullptr;  ///< list_ or named_; null until it is known
};

}  // namespace

std::unique_ptr<CallReader> mistral_calls(const ToolsPtr&) {
  return std::make_unique<MistralCalls>();
}

}  // namespace pippin::text
