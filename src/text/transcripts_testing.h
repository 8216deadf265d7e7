// The transcripts of every format (tools/transcripts) with what it takes to have them read. For tests only.
#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "text/parsers/registry.h"
#include "text/parsers/tools.h"
#include "text/test_files.h"

namespace pippin::text {

/// What a model of the family said.
struct Transcript {
  std::string output;
  std::string prompt;                  ///< where the rendered prompt ends; empty: as usual
  std::shared_ptr<const Tools> tools;  ///< that are offered; empty: none
};

struct Transcripts {
  OutputFormat format;
  std::vector<Transcript> list;

  explicit Transcripts(const std::string& family) {
    const auto file = read_json_object(testdata("transcripts/" + family + ".json"));
    const auto text_in = [](const json::object& object, std::string_view key) {
      const auto* member = object.if_contains(key);
      return member ? json::value_to<std::string>(*member) : "";
    };
    format = OutputFormat::choose(text_in(file, "tool_parser"), text_in(file, "reasoning_parser"),
                                  "", "");
    const auto tools = std::make_shared<const Tools>(read_text(testdata("transcripts/tools.json")));
    const auto none = std::make_shared<const Tools>("");
    for (const auto& value : file.at("transcripts").as_array()) {
      const auto& object = value.as_object();
      list.push_back({text_in(object, "output"), text_in(object, "prompt"),
                      object.contains("tools") ? none : tools});
    }
  }
};

/// All that have transcripts, in order.
inline std::vector<std::string> transcript_families() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(testdata("transcripts")))
    if (const auto name = file.path().stem().string(); name != "tools") names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace pippin::text
