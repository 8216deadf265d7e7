#include "base/certificates.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <system_error>

namespace pippin {
namespace {

bool is_set(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

bool is_file(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

}  // namespace

void find_certificates() {
#ifdef __linux__
  static const std::array<std::filesystem::path, 4> places = {
      "/etc/ssl/certs/ca-certificates.crt",  // Debian, Ubuntu, Arch
      "/etc/pki/tls/certs/ca-bundle.crt",    // Fedora, Red Hat
      "/etc/ssl/ca-bundle.pem",              // SUSE
      "/etc/ssl/cert.pem"};                  // Alpine
  find_certificates(places);
#endif
}

void find_certificates(std::span<const std::filesystem::path> places) {
  if (is_set("SSL_CERT_FILE") || is_set("SSL_CERT_DIR")) return;
  const auto found = std::ranges::find_if(places, is_file);
  if (found != places.end()) setenv("SSL_CERT_FILE", found->c_str(), 1);
}

}  // namespace pippin
