// Helpers for tests that need a checkpoint on disk.
#pragma once

#include <gtest/gtest.h>
#include <mlx/mlx.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "pippin/error.h"

namespace pippin::testing {

/// A fresh directory, gone at the end.
class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pippin_test_XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }

 private:
  std::filesystem::path path_;
};

/// Runs `action`, which must throw Error; returns its message.
template <class Action>
std::string error_message(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no Error was thrown";
  return "";
}

}  // namespace pippin::testing
