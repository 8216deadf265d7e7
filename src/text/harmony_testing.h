// The demo model's tokenizer with the marks of gpt-oss's messages as the special tokens that they are there. For tests only.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/files.h"
#include "text/parsers/channels.h"
#include "text/test_files.h"
#include "text/tokenizer.h"

namespace pippin::text {

/// Ids go on behind the demo model's own.
inline std::shared_ptr<const Tokenizer> harmony_tokenizer() {
  static const auto made = [] {
    const auto model = std::filesystem::path(PIPPIN_SOURCE_DIR) / "assets/demo-model";
    auto id = Tokenizer::load(model)->vocab_size();
    std::string document = read_text(model / "tokenizer.json");
    std::string added;
    for (const auto mark : channels::marks())
      added += R"(, {"id": )" + std::to_string(id++) + R"(, "content": ")" + std::string(mark) +
               R"(", "special": true, "normalized": false, "lstrip": false, "rstrip": false, )"
               R"("single_word": false})";
    // The list of added tokens comes before the normalizer.
    document.insert(document.rfind(']', document.find("\"normalizer\": ")), added);
    const TemporaryDirectory folder;
    folder.write("tokenizer.json", document);
    folder.write("tokenizer_config.json", read_text(model / "tokenizer_config.json"));
    return Tokenizer::load(folder.path());
  }();
  return made;
}

}  // namespace pippin::text
