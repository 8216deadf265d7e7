// Files of text that a request carries, as a model is shown them.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace pippin::server {

/// What stands before and behind a document's text: <document title="a.txt">, a line each.
std::string document_head(std::string_view title);
inline constexpr std::string_view document_tail = "\n</document>";

std::string document(std::string_view title, std::string_view text);

/// The text that a data: URL with base64, or base64 alone, holds. Throws Error(invalid_argument) naming the field where that is no
/// text in UTF-8, a PDF above all.
std::string text_of_file(std::string_view data, const std::string& field);

/// OpenAI's {"file_data", "filename"}, of chats and responses. Throws naming what refers to a file elsewhere.
std::string file_document(const Members& file);

}  // namespace pippin::server
