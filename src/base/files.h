// Files: read whole or mapped into memory, and written whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pippin {

/// The file's bytes. Throws Error(not_found) where it cannot be opened or read.
std::vector<std::uint8_t> read_file(const std::filesystem::path& file);
std::string read_text(const std::filesystem::path& file);

/// Writes a file that its user alone may read: under a temporary name beside it, then renamed, so that others see all of it or nothing.
/// Throws Error(unavailable) where the system refuses; nothing is left then.
void write_file(const std::filesystem::path& file, std::string_view text);

/// A file mapped privately; the pages are the kernel's until touched. Move-only; unmaps on
/// destruction. The mapping is copy-on-write, so that an array library which recycles a buffer in
/// place can't fault or change the file.
class MappedFile {
 public:
  /// Throws Error(not_found) where the file cannot be opened or mapped.
  explicit MappedFile(const std::filesystem::path& file);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;

  std::span<const std::uint8_t> bytes() const { return {data_, size_}; }

  /// Gives the memory of the whole pages within [offset, offset + size) back; reading them again reads
  /// the file again, so nobody may still want what was written there.
  void drop(std::size_t offset, std::size_t size) const;

 private:
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace pippin
