// The chat page's files, as the build put them into the program (cmake/Page.cmake).
#pragma once

#include <span>
#include <string_view>

namespace pippin::server {

struct PageFile {
  std::string_view name;  ///< "index.html", "vendor/marked.esm.js"
  std::string_view type;  ///< of its contents, as Content-Type has it
  std::string_view tag;   ///< ETag, with its quotes; another for other contents
  std::string_view bytes;
};

/// All of them, sorted by name. They live as long as the program.
std::span<const PageFile> page_files();

}  // namespace pippin::server
