// The hashes by which a hub names files: SHA-256 where large-file storage keeps them, git's own for the rest.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace pippin::hub {

/// Of a file that is fed in pieces. Not thread-safe.
class FileHash {
 public:
  /// `size`: of the file in bytes, which git's hash covers. 64 digits in `expected` mean SHA-256, 40 git's SHA-1.
  FileHash(std::string expected, std::int64_t size);
  ~FileHash();
  FileHash(FileHash&&) noexcept;
  FileHash& operator=(FileHash&&) noexcept;

  void update(std::string_view bytes);
  /// Whether what was fed is the file. Ends the hash.
  bool matches();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Whether `text` is a hash of either kind: 40 or 64 lower-case hexadecimal digits.
bool is_file_hash(std::string_view text);

}  // namespace pippin::hub
