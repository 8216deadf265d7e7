#pragma once

#include <filesystem>
#include <span>

namespace pippin {

// Points OpenSSL, and so libcurl, to this system's certificates, by the environment variable SSL_CERT_FILE: a packaged OpenSSL knows
// Debian's places alone. A variable that is set (SSL_CERT_FILE or SSL_CERT_DIR) stays. To be called before other threads run.
void find_certificates();

// The same with the first of `places` that is a file; without one the environment stays as it was.
void find_certificates(std::span<const std::filesystem::path> places);

}  // namespace pippin
