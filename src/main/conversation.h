// A chat in the terminal: what was said, and its file.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "pippin/request.h"

namespace pippin {

/// A picture or clip of a message, with the file or URL that it came from.
struct Attachment {
  bool is_video = false;
  std::string source;
  ContentPart content;
};

/// Reads one again. May throw.
using AttachmentLoader = std::function<Attachment(bool is_video, const std::string& source)>;

/// Not thread-safe.
class Conversation {
 public:
  struct Turn {
    std::string role;  ///< user or assistant
    std::string text;
    std::string reasoning;  ///< of an answer
    std::vector<Attachment> attachments;
  };

  std::string system;  ///< empty for none

  /// Of the next question.
  void attach(Attachment attachment) { attached_.push_back(std::move(attachment)); }
  void ask(std::string text);
  void answer(std::string text, std::string reasoning);
  /// Takes the last question back, with what was attached to it.
  void take_back();
  /// Forgets all but the system prompt.
  void clear();

  const std::vector<Turn>& turns() const { return turns_; }
  /// For the engine.
  std::vector<Message> messages() const;

  /// As JSON, in the form of OpenAI's chat completions; pictures and clips by their files. Throws Error(unavailable).
  void save(const std::filesystem::path& file) const;
  /// What save has written, in place of all this. Throws Error(not_found) or Error(invalid_argument), and what `loader` throws; nothing
  /// has changed then.
  void load(const std::filesystem::path& file, const AttachmentLoader& loader);

 private:
  std::vector<Turn> turns_;
  std::vector<Attachment> attached_;
};

}  // namespace pippin
