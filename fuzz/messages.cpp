// Conversations in the chat templates of published checkpoints: the first line is the template's name, the rest a JSON object
// with the messages, tools and further variables.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "fuzzing.h"
#include "text/chat_template.h"

namespace pippin::fuzz {
namespace {

struct Templates {
  std::vector<std::string> names;
  std::vector<text::ChatTemplate> compiled;

  Templates() {
    const std::filesystem::path root(PIPPIN_SOURCE_DIR);
    std::map<std::string, std::filesystem::path> files{
        {"demo", root / "assets/demo-model/chat_template.jinja"}};
    for (const auto& file :
         std::filesystem::directory_iterator(root / "src/text/testdata/templates"))
      files[file.path().stem().string()] = file.path();
    for (const auto& [name, file] : files) {
      names.push_back(name);
      compiled.push_back(text::ChatTemplate::parse(read_text(file),
                                                   {{"bos_token", "<s>"}, {"eos_token", "</s>"}}));
    }
  }
};

std::string member(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value ? json::serialize(*value) : "";
}

void run(Input input) {
  static const Templates templates;
  const auto& chosen = templates.compiled[index_of(input.word(), templates.names)];
  const json::value document = parse_json(input.rest, "input");
  if (!document.is_object()) return;
  const json::object& object = document.as_object();
  const text::ChatInput chat{member(object, "messages"), member(object, "tools"),
                             member(object, "kwargs"), input.word().empty(), "2026-11-22T19:32:12"};
  const std::string prompt = chosen.render(chat);
  require(prompt == chosen.render(chat), "another prompt the second time");
}

}  // namespace
}  // namespace pippin::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  pippin::fuzz::refused_only_with({pippin::Code::invalid_argument},
                                  [&] { pippin::fuzz::run({data, size}); });
  return 0;
}
