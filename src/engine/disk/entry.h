// One entry of the disk cache, a file: how it is named, written so that it is whole or not there, and read so that nothing
// wrong is ever believed.
//
// DIRECTORY/<model, 64 hex digits>/<kind>/<first 2 digits of the key>/<key, 64 hex digits>
//   header (160 bytes: magic, version, kind, model, key, sizes, BLAKE3 of the payload, BLAKE3 of what stands before the payload),
//   description, payload
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "pippin/pixels.h"

namespace pippin::engine {

/// state: the snapshot of recurrent layers after the page of the same key.
enum class EntryKind : std::uint32_t { page = 1, features = 2, state = 3 };
inline constexpr EntryKind entry_kinds[] = {EntryKind::page, EntryKind::features, EntryKind::state};

/// Says which entry a file holds; every part of it is in the file's path and in its header.
struct EntryName {
  Digest model{};  ///< fingerprint of all that the payload's numbers depend on
  EntryKind kind = EntryKind::page;
  Digest key{};

  bool operator==(const EntryName&) const = default;
};

struct EntryNameHash {
  std::size_t operator()(const EntryName& name) const;
};

/// What is kept: bytes that only who put them there understands.
struct Entry {
  std::string description;  ///< what a reader compares or needs to know before the payload
  RawBytes payload;

  bool operator==(const Entry&) const = default;
};

/// Bytes of the entry's file.
std::int64_t file_size_of(const Entry& entry);

std::string_view folder_of(EntryKind kind);
std::filesystem::path path_of(const std::filesystem::path& directory, const EntryName& name);
/// The digest that 64 lower-case hexadecimal digits stand for; nullopt for any other text.
std::optional<Digest> digest_from_hex(std::string_view text);

/// Where files lie until they are whole.
std::filesystem::path unfinished_folder(const std::filesystem::path& directory);

/// Writes a file under a temporary name, then renames it: others see all of it or nothing, whenever this process dies. It is not
/// synced: after a power cut the checksum finds out. Makes folders below `directory`, never that one itself, which may be a disk
/// that is not mounted any more. Throws Error(unavailable) where the system refuses; nothing is left then.
void write_entry(const std::filesystem::path& directory, const EntryName& name, const Entry& entry);

/// Throws Error(unavailable) where write_entry would.
void probe_writing(const std::filesystem::path& directory);

/// Removes what killed processes left unfinished. A living one holds a lock on the file that it writes.
void remove_unfinished(const std::filesystem::path& directory);

enum class ReadStatus {
  ok,
  absent,      ///< there is no such file (any more)
  unreadable,  ///< the system refuses to read it
  damaged,     ///< cut, flipped, foreign, of another version or under another entry's name
};

struct ReadResult {
  ReadStatus status = ReadStatus::ok;
  std::string why;  ///< for the log, where the status isn't ok
  Entry entry;      ///< verified to the last bit where it is
};

/// Reads and verifies a file. Never throws for what the file holds. The payload takes the memory of `room`, as far as that reaches:
/// memory that has been used before is had much faster than new memory.
ReadResult read_entry(const std::filesystem::path& directory, const EntryName& name,
                      RawBytes&& room = {});

}  // namespace pippin::engine
