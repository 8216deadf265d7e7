// Stop strings found in text as it streams.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pippin::text {

/// Finds the first stop string completed in a stream of text.
/// Owns the tail that may yet become a stop string. One thread at a time. Always: whatever the
/// pieces, the text given out is that of one push of the whole: it ends before the stop string that
/// is complete first (of several complete at one place, before the longest). What is held back is
/// shorter than the longest stop string and, where text and stop strings are UTF-8, begins at a
/// character.
class StopStrings {
 public:
  /// Empty stop strings never match. With `include` the text given out ends behind the stop string instead.
  explicit StopStrings(std::vector<std::string> stops, bool include = false);

  /// Text that can no longer be part of a stop string. Once matched, nothing more comes.
  std::string push(std::string_view text);
  /// Text in which nothing is to be found: it, after what was held back.
  std::string pass(std::string_view text);
  /// Ends the stream: what was held back, when nothing matched.
  std::string finish();

  /// Bytes that are held back.
  std::size_t num_held() const { return held_.size(); }
  /// Index of the stop string that matched, in the order given to the constructor.
  std::optional<std::size_t> matched() const { return matched_; }

 private:
  /// Sets matched_ where a stop string is complete in `held_`; the place where the text ends.
  std::optional<std::size_t> find_match();
  /// Bytes at the end of `held_` that begin some stop string.
  std::size_t open_tail() const;

  std::vector<std::string> stops_;
  bool include_;
  std::string held_;
  std::optional<std::size_t> matched_;
};

}  // namespace pippin::text
