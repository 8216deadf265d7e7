#include "hub/hash.h"

#include <gtest/gtest.h>

namespace pippin::hub {
namespace {

TEST(FileHash, IsSha256OrGits) {
  // `sha256sum` and `git hash-object` of "hello\n".
  const char* sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
  const char* git = "ce013625030ba8dba906f756967f9e9ca394464a";
  for (const char* expected : {sha256, git}) {
    FileHash hash(expected, 6);
    hash.update("hel");
    hash.update("lo\n");
    EXPECT_TRUE(hash.matches());
    FileHash other(expected, 6);
    other.update("hallo\n");
    EXPECT_FALSE(other.matches());
  }
}

TEST(FileHash, NamesAreHashes) {
  EXPECT_TRUE(is_file_hash(std::string(40, 'f')));
  EXPECT_TRUE(is_file_hash(std::string(64, '0')));
  for (const auto& text :
       {std::string(), std::string(41, '0'), std::string(64, 'F'), "../" + std::string(37, '0')})
    EXPECT_FALSE(is_file_hash(text)) << text;
}

}  // namespace
}  // namespace pippin::hub
