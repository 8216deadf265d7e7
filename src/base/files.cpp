#include "base/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "pippin/error.h"

namespace pippin {
namespace {

[[noreturn]] void throw_unreadable(const std::filesystem::path& file, const std::string& why) {
  throw Error(Code::not_found, "[file] cannot read " + file.string() + ": " + why);
}

template <class Bytes>
Bytes read_all(const std::filesystem::path& file) {
  std::error_code error;
  if (std::filesystem::is_directory(file, error)) throw_unreadable(file, "it is a directory");
  std::ifstream in(file, std::ios::binary);
  if (!in) throw_unreadable(file, std::strerror(errno));
  Bytes bytes;
  in.seekg(0, std::ios::end);
  bytes.resize(static_cast<std::size_t>(in.tellg()));
  in.seekg(0);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!in) throw_unreadable(file, "it ended early");
  return bytes;
}

}  // namespace

std::vector<std::uint8_t> read_file(const std::filesystem::path& file) {
  return read_all<std::vector<std::uint8_t>>(file);
}

std::string read_text(const std::filesystem::path& file) { return read_all<std::string>(file); }

void write_file(const std::filesystem::path& file, std::string_view text) {
  std::string temporary = file.string() + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  int error = fd < 0 ? errno : 0;
  while (error == 0 && !text.empty()) {
    const auto written = ::write(fd, text.data(), text.size());
    if (written > 0)
      text.remove_prefix(static_cast<std::size_t>(written));
    else if (errno != EINTR)
      error = errno;
  }
  if (fd >= 0 && ::close(fd) != 0 && error == 0) error = errno;
  if (error == 0 && ::rename(temporary.c_str(), file.c_str()) != 0) error = errno;
  if (error == 0) return;
  if (fd >= 0) ::unlink(temporary.c_str());
  throw Error(Code::unavailable, "cannot write " + file.string() + ": " + std::strerror(error));
}

MappedFile::MappedFile(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw_unreadable(file, std::strerror(errno));
  struct stat info{};
  void* mapped = MAP_FAILED;
  int error = 0;
  if (::fstat(fd, &info) == 0 && info.st_size > 0)
    mapped = ::mmap(nullptr, static_cast<std::size_t>(info.st_size), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE, fd, 0);
  error = errno;
  ::close(fd);
  if (mapped == MAP_FAILED)
    throw_unreadable(file, info.st_size == 0 ? "it is empty" : std::strerror(error));
  data_ = static_cast<const std::uint8_t*>(mapped);
  size_ = static_cast<std::size_t>(info.st_size);
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::uint8_t*>(data_), size_);
}

void MappedFile::drop(std::size_t offset, std::size_t size) const {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (offset + page - 1) / page * page, end = (offset + size) / page * page;
  if (begin < end) ::madvise(const_cast<std::uint8_t*>(data_) + begin, end - begin, MADV_DONTNEED);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

}  // namespace pippin
