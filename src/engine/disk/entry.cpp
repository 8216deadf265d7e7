#include "engine/disk/entry.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "base/descriptor.h"
#include "base/digest.h"
#include "pippin/error.h"

namespace pippin::engine {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "headers are written as they are");

constexpr std::array<char, 8> magic = {'P', 'I', 'P', 'P', 'I', 'N', 'C', 'D'};
constexpr std::uint32_t version = 2;

// The bytes of a payload that are read and hashed at once: they are still in the core's own cache then.
constexpr std::size_t piece_bytes = std::size_t{256} << 10;

struct Header {
  std::array<char, 8> magic{};
  std::uint32_t version = 0;
  std::uint32_t kind = 0;
  Digest model{};
  Digest key{};
  std::uint64_t description_size = 0;
  std::uint64_t payload_size = 0;
  Digest payload_checksum{};  ///< BLAKE3; by itself, as hashing is fastest from a first byte on
  Digest checksum{};          ///< BLAKE3 of this header with zeros here, and the description
};
static_assert(sizeof(Header) == 160 && std::has_unique_object_representations_v<Header>);

Header header_of(const EntryName& name, const Entry& entry) {
  return {magic,
          version,
          static_cast<std::uint32_t>(name.kind),
          name.model,
          name.key,
          entry.description.size(),
          entry.payload.size(),
          blake3(entry.payload),
          {}};
}

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

Digest checksum_of(Header header, const std::string& description) {
  header.checksum = {};
  Hasher hasher;
  hasher.update_value(header);
  hasher.update(bytes_of(description));
  return hasher.finish();
}

[[noreturn]] void throw_unwritable(const fs::path& path) {
  const int error = errno;
  throw Error(Code::unavailable, "cannot write " + path.string() + ": " + std::strerror(error));
}

void make_folder(const fs::path& folder) {
  // For the owner alone: entries tell what was asked.
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) throw_unwritable(folder);
}

// A file in the making, locked while this process lives; removed again unless it was renamed.
class UnfinishedFile {
 public:
  explicit UnfinishedFile(const fs::path& directory)
      : path_((unfinished_folder(directory) / "pippin-XXXXXX").string()), file_(open(directory)) {}
  ~UnfinishedFile() {
    if (!finished_) ::unlink(path_.c_str());
  }
  UnfinishedFile(const UnfinishedFile&) = delete;
  UnfinishedFile& operator=(const UnfinishedFile&) = delete;

  void write(std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
      const auto written = ::write(file_.get(), bytes.data(), bytes.size());
      if (written > 0)
        bytes = bytes.subspan(static_cast<std::size_t>(written));
      else if (errno != EINTR)
        throw_unwritable(path_);
    }
  }

  void rename_to(const fs::path& path) {
    if (::rename(path_.c_str(), path.c_str()) != 0) throw_unwritable(path);
    finished_ = true;
  }

 private:
  int open(const fs::path& directory) {
    make_folder(unfinished_folder(directory));
    const int fd = ::mkstemp(path_.data());
    if (fd < 0) throw_unwritable(path_);
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    ::flock(fd, LOCK_EX | LOCK_NB);
    return fd;
  }

  std::string path_;
  bool finished_ = false;
  Descriptor file_;
};

// Reads exactly `size` bytes; false at the end of the file or an error (errno is 0 or it).
bool read_exactly(int fd, void* out, std::size_t size) {
  auto* bytes = static_cast<char*>(out);
  while (size > 0) {
    errno = 0;
    const auto got = ::read(fd, bytes, size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

ReadResult unreadable() {
  const int error = errno;
  return {error == ENOENT ? ReadStatus::absent : ReadStatus::unreadable, std::strerror(error), {}};
}

ReadResult damaged(const std::string& why) { return {ReadStatus::damaged, why, {}}; }

ReadResult ended_early() { return errno != 0 ? unreadable() : damaged("it ends early"); }

// What is wrong with a header, before its sizes are believed; empty where nothing is.
std::string fault_of(const Header& header, const EntryName& name, std::uint64_t file_size) {
  if (header.magic != magic) return "it is no cache entry";
  if (header.version != version) return "it is of format " + std::to_string(header.version);
  if (header.kind != static_cast<std::uint32_t>(name.kind) || header.model != name.model ||
      header.key != name.key)
    return "it holds another entry";
  const auto rest = file_size - sizeof(Header);
  if (header.description_size > rest || header.payload_size != rest - header.description_size)
    return "its size is wrong";
  return {};
}

// Reads all of `payload` and returns its digest; nullopt as read_exactly's false.
std::optional<Digest> read_and_hash(int fd, std::span<std::uint8_t> payload) {
  Hasher hasher;
  while (!payload.empty()) {
    const auto piece = payload.first(std::min(piece_bytes, payload.size()));
    if (!read_exactly(fd, piece.data(), piece.size())) return {};
    hasher.update(piece);
    payload = payload.subspan(piece.size());
  }
  return hasher.finish();
}

ReadResult read_open(int fd, const EntryName& name, std::uint64_t file_size, RawBytes&& room) {
  Header header;
  if (!read_exactly(fd, &header, sizeof header)) return ended_early();
  if (auto fault = fault_of(header, name, file_size); !fault.empty()) return damaged(fault);
  ReadResult result;
  auto& [description, payload] = result.entry;
  description.resize(header.description_size);
  if (!read_exactly(fd, description.data(), description.size())) return ended_early();
  if (checksum_of(header, description) != header.checksum) return damaged("its checksum is wrong");
  payload = std::move(room);
  payload.clear();  // so that nothing is copied where it has to grow
  payload.resize(header.payload_size);
  const auto digest = read_and_hash(fd, payload);
  if (!digest) return ended_early();
  if (*digest != header.payload_checksum) return damaged("its payload's checksum is wrong");
  return result;
}

}  // namespace

std::size_t EntryNameHash::operator()(const EntryName& name) const {
  return DigestHash()(name.key) ^ static_cast<std::size_t>(name.kind);
}

std::int64_t file_size_of(const Entry& entry) {
  return static_cast<std::int64_t>(sizeof(Header) + entry.description.size() +
                                   entry.payload.size());
}

std::string_view folder_of(EntryKind kind) {
  if (kind == EntryKind::state) return "states";
  return kind == EntryKind::page ? "pages" : "features";
}

fs::path path_of(const fs::path& directory, const EntryName& name) {
  const auto key = to_hex(name.key);
  return directory / to_hex(name.model) / folder_of(name.kind) / key.substr(0, 2) / key;
}

std::optional<Digest> digest_from_hex(std::string_view text) {
  Digest digest;
  if (text.size() != 2 * digest.size()) return {};
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool is_letter = c >= 'a' && c <= 'f';
    if (!is_letter && (c < '0' || c > '9')) return {};
    const auto value = static_cast<std::uint8_t>(is_letter ? c - 'a' + 10 : c - '0');
    digest[i / 2] = static_cast<std::uint8_t>(i % 2 ? digest[i / 2] | value : value << 4);
  }
  return digest;
}

fs::path unfinished_folder(const fs::path& directory) { return directory / "unfinished"; }

void write_entry(const fs::path& directory, const EntryName& name, const Entry& entry) {
  const auto path = path_of(directory, name);
  const auto shard = path.parent_path(), kind = shard.parent_path();
  for (const auto& folder : {kind.parent_path(), kind, shard}) make_folder(folder);
  auto header = header_of(name, entry);
  header.checksum = checksum_of(header, entry.description);
  UnfinishedFile file(directory);
  file.write({reinterpret_cast<const std::uint8_t*>(&header), sizeof header});
  file.write(bytes_of(entry.description));
  file.write(entry.payload);
  file.rename_to(path);
}

void probe_writing(const fs::path& directory) { UnfinishedFile(directory).write(Digest{}); }

void remove_unfinished(const fs::path& directory) {
  std::error_code error;
  for (const auto& item : fs::directory_iterator(unfinished_folder(directory), error)) {
    if (!item.path().filename().string().starts_with("pippin-")) continue;
    const Descriptor file(::open(item.path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (file.get() >= 0 && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0)
      ::unlink(item.path().c_str());
  }
}

ReadResult read_entry(const fs::path& directory, const EntryName& name, RawBytes&& room) {
  const auto path = path_of(directory, name);
  // Not blocking: a pipe under this name must not hold the reader up.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat info{};
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0) return unreadable();
  if (!S_ISREG(info.st_mode)) return damaged("it is no plain file");
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size < sizeof(Header)) return damaged("it ends early");
  try {
    return read_open(file.get(), name, size, std::move(room));
  } catch (const std::bad_alloc& error) {
    return {ReadStatus::unreadable, error.what(), {}};
  }
}

}  // namespace pippin::engine
