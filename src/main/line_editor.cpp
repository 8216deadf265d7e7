#include "main/line_editor.h"

#include <string_view>

#include "pippin/error.h"
#include "pippin_rust.h"

namespace pippin {
namespace {

const std::uint8_t* bytes(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

std::string taken(PippinBuffer& buffer) {
  std::string text(reinterpret_cast<const char*>(buffer.data), buffer.size);
  pippin_buffer_free(&buffer);
  return text;
}

void check(PippinStatus status, PippinBuffer& error) {
  if (status == PIPPIN_OK) return;
  throw Error(Code::unavailable, "standard input: " + taken(error));
}

}  // namespace

LineEditor::LineEditor(const std::vector<std::string>& commands,
                       const std::filesystem::path& history) {
  std::string list;
  for (const std::string& command : commands) list += command + "\n";
  const std::string file = history.string();
  PippinBuffer error{};
  check(
      pippin_line_editor_new(bytes(list), list.size(), bytes(file), file.size(), &editor_, &error),
      error);
}

LineEditor::~LineEditor() { pippin_line_editor_free(editor_); }

LineEditor::Read LineEditor::read(const std::string& prompt) {
  PippinBuffer line{}, error{};
  std::int32_t ended = 0;
  const PippinStatus status =
      pippin_line_editor_read(editor_, bytes(prompt), prompt.size(), &line, &ended, &error);
  if (status == PIPPIN_CANCELLED) {
    pippin_buffer_free(&error);
    return {Kind::interrupted, ""};
  }
  check(status, error);
  return {ended != 0 ? Kind::end : Kind::entry, taken(line)};
}

}  // namespace pippin
