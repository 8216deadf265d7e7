#include "base/files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "pippin/error.h"

namespace pippin {
namespace {

std::filesystem::path write_temp(const std::string& name, const std::string& text) {
  const auto file = std::filesystem::path(::testing::TempDir()) / name;
  std::ofstream(file, std::ios::binary) << text;
  return file;
}

TEST(Files, MappedEqualsRead) {
  const auto file = write_temp("pippin_files_test", std::string("a\0b\nc", 5));
  const MappedFile mapped(file);
  const auto bytes = read_file(file);
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), mapped.bytes().begin(), mapped.bytes().end()));
  EXPECT_EQ(read_text(file), std::string("a\0b\nc", 5));
}

TEST(Files, NameTheFileThatCannotBeRead) {
  for (const auto& file :
       {std::filesystem::path("/nonexistent/x"), std::filesystem::path(::testing::TempDir())}) {
    try {
      read_file(file);
      FAIL() << file;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::not_found);
      EXPECT_NE(std::string(error.what()).find(file.string()), std::string::npos);
    }
  }
  EXPECT_THROW(MappedFile("/nonexistent/x"), Error);
  EXPECT_THROW(MappedFile(write_temp("pippin_empty", "")), Error);
}

TEST(Files, AreWrittenWholeAndForTheUserAlone) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "pippin_write_file_test";
  std::filesystem::remove_all(folder);
  EXPECT_THROW(write_file(folder / "a", "x"), Error);
  std::filesystem::create_directory(folder);
  write_file(folder / "a", "first");
  write_file(folder / "a", "second");
  EXPECT_EQ(read_text(folder / "a"), "second");
  EXPECT_EQ(std::filesystem::status(folder / "a").permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  std::filesystem::create_directory(folder / "b");
  EXPECT_THROW(write_file(folder / "b", "x"), Error);  // it is a folder
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 2);
}

}  // namespace
}  // namespace pippin
