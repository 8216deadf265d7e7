#include "hub/partial_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "pippin/error.h"

namespace pippin::hub {
namespace {

constexpr std::size_t piece_bytes = 1 << 20;  // read at once

[[noreturn]] void fail(const char* what, const std::filesystem::path& path, int error) {
  throw Error(Code::unavailable,
              std::string("cannot ") + what + " " + path.string() + ": " + std::strerror(error));
}

}  // namespace

PartialFile::PartialFile(const std::filesystem::path& path, const RemoteFile& file)
    : path_(path), file_(file), hash_(file.hash, file.size) {
  open();
  read_again();
}

void PartialFile::open() {
  // Others that share the cache read it, as far as the umask lets them.
  const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
  int fd = ::open(path_.c_str(), flags, 0666);
  if (fd < 0 && errno == ELOOP) {  // somebody's link: what it leads to is not ours to write
    ::unlink(path_.c_str());
    fd = ::open(path_.c_str(), flags, 0666);
  }
  if (fd < 0) fail("open", path_, errno);
  descriptor_ = Descriptor(fd);
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) fail("use", path_, EINVAL);
}

void PartialFile::read_again() {
  std::vector<char> piece(piece_bytes);
  while (size_ < file_.size) {
    const auto count = ::pread(descriptor_.get(), piece.data(), piece.size(), size_);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("read", path_, errno);
    if (count == 0) return;
    const auto used = std::min<std::int64_t>(count, file_.size - size_);
    hash_.update({piece.data(), static_cast<std::size_t>(used)});
    size_ += used;
  }
}

void PartialFile::append(std::string_view bytes) {
  if (static_cast<std::int64_t>(bytes.size()) > file_.size - size_)
    throw Error(Code::unavailable, "the hub sent more of " + harmless(file_.path) +
                                       " than its size of " + std::to_string(file_.size) +
                                       " bytes");
  hash_.update(bytes);
  while (!bytes.empty()) {
    const auto count = ::pwrite(descriptor_.get(), bytes.data(), bytes.size(), size_);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("write", path_, errno);
    bytes.remove_prefix(static_cast<std::size_t>(count));
    size_ += count;
  }
}

void PartialFile::clear() {
  if (::ftruncate(descriptor_.get(), 0) != 0) fail("empty", path_, errno);
  hash_ = FileHash(file_.hash, file_.size);
  size_ = 0;
}

bool PartialFile::place(const std::filesystem::path& blob) {
  if (!complete() || !hash_.matches()) {
    clear();
    return false;
  }
  // A file that was longer before; and a name that is a hash is never checked again, so the bytes must be there after a power cut.
  if (::ftruncate(descriptor_.get(), size_) != 0 || ::fsync(descriptor_.get()) != 0)
    fail("write", path_, errno);
  if (::rename(path_.c_str(), blob.c_str()) != 0) fail("make", blob, errno);
  return true;
}

}  // namespace pippin::hub
