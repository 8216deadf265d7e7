#include "server/chat/documents.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "media/data_url.h"
#include "pippin/error.h"
#include "server/schema/request_json.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

std::vector<std::uint8_t> decoded(std::string_view data, const std::string& field) {
  const std::string url =
      data.starts_with("data:") ? std::string(data) : "data:;base64," + std::string(data);
  try {
    return media::decode_data_url(url, std::numeric_limits<std::int64_t>::max());
  } catch (const Error& error) {
    refuse(field, std::string("must be a data: URL or base64: ") + error.what());
  }
}

// Within the quotes of an attribute.
std::string attribute(std::string_view text) {
  std::string plain(text);
  std::replace_if(
      plain.begin(), plain.end(),
      [](unsigned char c) { return c == '"' || c == '<' || c == '>' || c < ' '; }, ' ');
  return plain;
}

}  // namespace

std::string document_head(std::string_view title) {
  if (title.empty()) return "<document>\n";
  return "<document title=\"" + attribute(title) + "\">\n";
}

std::string document(std::string_view title, std::string_view text) {
  return document_head(title).append(text).append(document_tail);
}

std::string text_of_file(std::string_view data, const std::string& field) {
  const auto bytes = decoded(data, field);
  std::string text(bytes.begin(), bytes.end());
  if (text.starts_with("%PDF")) refuse(field, "is a PDF, which is not supported; send its text");
  const bool is_text = text.find('\0') == std::string::npos && valid_utf8(text) == text;
  if (!is_text) refuse(field, "is no text in UTF-8 (other files are not supported)");
  return text;
}

std::string file_document(const Members& file) {
  for (const char* key : {"file_id", "file_url"})
    if (file.find(key)) refuse(file.path_of(key), "is not supported; use 'file_data'");
  const std::string text =
      text_of_file(required_string(file, "file_data"), file.path_of("file_data"));
  return document(file.string("filename").value_or(""), text);
}

}  // namespace pippin::server
