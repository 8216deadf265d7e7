// For tests of the disk cache: a folder, and entries that every test can tell right from wrong.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>

#include "base/digest.h"
#include "engine/disk/entry.h"

namespace pippin::engine {

/// An empty folder, removed at the end.
class Folder {
 public:
  Folder() {
    std::string name =
        (std::filesystem::path(::testing::TempDir()) / "pippin_disk_XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline Digest key_of(std::uint32_t number) {
  Hasher hasher;
  hasher.update_value(number);
  return hasher.finish();
}

/// The entry that belongs to key_of(number).
inline Entry entry_of(std::uint32_t number, std::size_t size = 100) {
  std::mt19937 random(number);
  Entry entry{"entry " + std::to_string(number), RawBytes(size)};
  std::generate(entry.payload.begin(), entry.payload.end(),
                [&] { return static_cast<std::uint8_t>(random()); });
  return entry;
}

}  // namespace pippin::engine
