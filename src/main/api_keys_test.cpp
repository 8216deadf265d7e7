#include "main/api_keys.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "pippin/error.h"

namespace pippin {
namespace {

class ApiKeys : public ::testing::Test {
 protected:
  ApiKeys() { ::unsetenv("PIPPIN_API_KEYS"); }
  ~ApiKeys() override {
    ::unsetenv("PIPPIN_API_KEYS");
    std::filesystem::remove(file_);
  }

  void write(const char* text) { std::ofstream(file_) << text; }

  const std::filesystem::path file_ =
      std::filesystem::path(::testing::TempDir()) / "pippin_api_keys_test";
};

TEST_F(ApiKeys, ComeFromEverywhere) {
  write("# ours\nfrom-file\n\n  spaced  \r\n");
  ::setenv("PIPPIN_API_KEYS", "a, b,,", 1);
  EXPECT_EQ(collect_api_keys({"flag"}, file_),
            (std::vector<std::string>{"flag", "from-file", "spaced", "a", "b"}));
}

TEST_F(ApiKeys, AreNoneWhereNobodyNamesAny) { EXPECT_TRUE(collect_api_keys({}, {}).empty()); }

TEST_F(ApiKeys, AreNeverDroppedInSilence) {
  write("# none yet\n");
  EXPECT_THROW(collect_api_keys({}, file_), Error);
  EXPECT_THROW(collect_api_keys({""}, {}), Error);
  EXPECT_THROW(collect_api_keys({"a b"}, {}), Error);
}

TEST_F(ApiKeys, AVariableThatHoldsNoneIsRefused) {
  for (const char* value : {"", " ", ",", " , ,\t"}) {
    ::setenv("PIPPIN_API_KEYS", value, 1);
    EXPECT_THROW(collect_api_keys({}, {}), Error) << '"' << value << '"';
    EXPECT_THROW(collect_api_keys({"flag"}, {}), Error) << '"' << value << '"';
  }
}

TEST_F(ApiKeys, OfAdminsComeFromTheirOwnOptions) {
  write("root\n");
  ::setenv("PIPPIN_API_KEYS", "a", 1);
  EXPECT_EQ(collect_admin_keys({"flag"}, file_), (std::vector<std::string>{"flag", "root"}));
  EXPECT_THROW(collect_admin_keys({""}, {}), Error);
  write("");
  EXPECT_THROW(collect_admin_keys({}, file_), Error);
}

}  // namespace
}  // namespace pippin
