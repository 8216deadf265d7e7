// Chat templates of any text, as a checkpoint from anywhere may carry one, with a conversation that has everything.
#include <string>

#include "fuzzing.h"
#include "text/chat_template.h"
#include "text/parsers/registry.h"

namespace pippin::fuzz {
namespace {

const text::ChatInput& conversation() {
  static const text::ChatInput chat{
      R"([{"role": "system", "content": "Be brief."},
          {"role": "user", "content": [{"type": "text", "text": "é <&> \"x\""}, {"type": "image"}]},
          {"role": "assistant", "content": "", "reasoning_content": "hm", "tool_calls": [{"id": "abcdefgh1", "type": "function",
           "function": {"name": "add", "arguments": {"a": 1, "b": [2.5, null, true]}}}]},
          {"role": "tool", "tool_call_id": "abcdefgh1", "content": "3"}])",
      R"([{"type": "function", "function": {"name": "add", "description": "Adds.", "parameters":
          {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "array"}}, "required": ["a"]}}}])",
      R"({"enable_thinking": true})", true, "2026-11-22T19:32:12"};
  return chat;
}

void run(std::string_view source) {
  text::OutputFormat::choose("auto", "auto", source, "qwen3");
  const auto parsed =
      text::ChatTemplate::parse(source, {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
  parsed.render(conversation());
}

}  // namespace
}  // namespace pippin::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  pippin::fuzz::refused_only_with({pippin::Code::invalid_argument},
                                  [&] { pippin::fuzz::run(pippin::fuzz::text_of(data, size)); });
  return 0;
}
