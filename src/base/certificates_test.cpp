#include "base/certificates.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace pippin {
namespace {

class CertificatesTest : public ::testing::Test {
 protected:
  CertificatesTest() {
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
    std::ofstream(file_) << "a certificate";
  }
  ~CertificatesTest() override {
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
  }

  std::string chosen() const {
    const char* value = std::getenv("SSL_CERT_FILE");
    return value ? value : "none";
  }

  std::filesystem::path folder_ = ::testing::TempDir();
  std::filesystem::path file_ = folder_ / "pippin_certificates.pem";
};

TEST_F(CertificatesTest, TheFirstFileThatIsThereIsUsed) {
  find_certificates(std::vector{folder_ / "nothing.pem", folder_, file_});
  EXPECT_EQ(chosen(), file_.string());
}

TEST_F(CertificatesTest, WithoutAFileTheEnvironmentStays) {
  find_certificates(std::vector{folder_ / "nothing.pem", folder_});
  EXPECT_EQ(chosen(), "none");
}

TEST_F(CertificatesTest, AChoiceOfTheUserStays) {
  setenv("SSL_CERT_FILE", "/own.pem", 1);
  find_certificates(std::vector{file_});
  EXPECT_EQ(chosen(), "/own.pem");
  unsetenv("SSL_CERT_FILE");
  setenv("SSL_CERT_DIR", "/own", 1);
  find_certificates(std::vector{file_});
  EXPECT_EQ(chosen(), "none");
}

}  // namespace
}  // namespace pippin
