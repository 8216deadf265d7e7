// A file that is being fetched: blobs/<hash>.incomplete, which the next process goes on with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "base/descriptor.h"
#include "hub/client.h"
#include "hub/hash.h"

namespace pippin::hub {

/// Owned by the holder of the blob's lock. Every byte is written at its own place, so that two processes on a file system without locks do
/// each other no harm. Throws Error(unavailable) with the path where the system refuses, as a full disk does.
class PartialFile {
 public:
  /// Reads what an earlier process has left of it. No link is followed.
  PartialFile(const std::filesystem::path& path, const RemoteFile& file);

  /// Bytes that are there.
  std::int64_t size() const { return size_; }
  bool complete() const { return size_ == file_.size; }
  /// Throws Error(unavailable) for more bytes than the file has.
  void append(std::string_view bytes);
  /// Begins anew.
  void clear();
  /// Whether it is the file, which it then becomes, in one step and on the disk. Else it is cleared.
  bool place(const std::filesystem::path& blob);

 private:
  void open();
  void read_again();

  const std::filesystem::path path_;
  const RemoteFile& file_;
  Descriptor descriptor_{-1};
  FileHash hash_;
  std::int64_t size_ = 0;
};

}  // namespace pippin::hub
