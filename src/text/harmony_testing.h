// The demo model's tokenizer with the marks of gpt-oss's messages as the special tokens that they are there. For tests only.
#pragma once

#include <filesystem>
#include <memory>

#include "base/files.h"
#include "base/json.h"
#include "text/parsers/channels.h"
#include "text/test_files.h"
#include "text/tokenizer.h"

namespace pippin::text {

/// Ids go on behind the demo model's own.
inline std::shared_ptr<const Tokenizer> harmony_tokenizer() {
  static const auto made = [] {
    const auto model = std::filesystem::path(PIPPIN_SOURCE_DIR) / "assets/demo-model";
    auto id = Tokenizer::load(model)->vocab_size();
    json::value document = parse_json(read_text(model / "tokenizer.json"), "tokenizer.json");
    json::array& added = document.at("added_tokens").as_array();
    for (const auto mark : channels::marks())
      added.push_back({{"id", id++},
                       {"content", mark},
                       {"special", true},
                       {"normalized", false},
                       {"lstrip", false},
                       {"rstrip", false},
                       {"single_word", false}});
    const TemporaryDirectory folder;
    folder.write("tokenizer.json", json::serialize(document));
    folder.write("tokenizer_config.json", read_text(model / "tokenizer_config.json"));
    return Tokenizer::load(folder.path());
  }();
  return made;
}

}  // namespace pippin::text
