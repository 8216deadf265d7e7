#include "hub/hash.h"

#include <openssl/evp.h>

#include <array>
#include <new>
#include <utility>

#include "pippin/error.h"

namespace pippin::hub {
namespace {

constexpr std::size_t sha256_digits = 64, sha1_digits = 40;

struct Free {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

void check(int result) {
  if (result != 1) throw Error(Code::internal, "[hub] OpenSSL computes no hash");
}

std::string hex(const unsigned char* bytes, unsigned size) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < size; ++i) text += {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
  return text;
}

}  // namespace

struct FileHash::State {
  std::string expected;
  std::unique_ptr<EVP_MD_CTX, Free> context{EVP_MD_CTX_new()};

  void update(std::string_view bytes) {
    check(EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()));
  }
};

FileHash::FileHash(std::string expected, std::int64_t size) : state_(std::make_unique<State>()) {
  if (!state_->context) throw std::bad_alloc();
  state_->expected = std::move(expected);
  const bool is_git = state_->expected.size() == sha1_digits;
  check(EVP_DigestInit_ex(state_->context.get(), is_git ? EVP_sha1() : EVP_sha256(), nullptr));
  if (!is_git) return;
  const std::string head = "blob " + std::to_string(size);
  state_->update({head.c_str(), head.size() + 1});  // with the zero byte
}

FileHash::~FileHash() = default;
FileHash::FileHash(FileHash&&) noexcept = default;
FileHash& FileHash::operator=(FileHash&&) noexcept = default;

void FileHash::update(std::string_view bytes) { state_->update(bytes); }

bool FileHash::matches() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  check(EVP_DigestFinal_ex(state_->context.get(), digest.data(), &size));
  return hex(digest.data(), size) == state_->expected;
}

bool is_file_hash(std::string_view text) {
  return (text.size() == sha256_digits || text.size() == sha1_digits) &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace pippin::hub
