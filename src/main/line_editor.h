// Entries that somebody types.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

struct PippinLineEditor;

namespace pippin {

/// Standard input, edited where it is a terminal: history, completion, several lines in one entry (rustyline in the Rust library). One
/// thread at a time.
class LineEditor {
 public:
  enum class Kind { entry, interrupted, end };
  struct Read {
    Kind kind = Kind::end;
    std::string text;  ///< of an entry
  };

  /// `commands`: what Tab completes at an entry's beginning. `history`: the file of what was typed; empty keeps none.
  LineEditor(const std::vector<std::string>& commands, const std::filesystem::path& history);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  /// Throws Error(unavailable) where standard input can't be read.
  Read read(const std::string& prompt);

 private:
  PippinLineEditor* editor_ = nullptr;
};

}  // namespace pippin
