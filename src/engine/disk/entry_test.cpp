// Files that can't be trusted: nothing wrong is ever believed.
#include "engine/disk/entry.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "base/digest.h"
#include "base/files.h"
#include "base/sanitized.h"
#include "engine/disk/testing.h"
#include "pippin/error.h"

namespace pippin::engine {
namespace {

namespace fs = std::filesystem;
using FileBytes = std::vector<std::uint8_t>;

const EntryName name{key_of(1000), EntryKind::page, key_of(1)};

void overwrite(const fs::path& file, const FileBytes& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

TEST(DiskEntry, ReadsWhatWasWritten) {
  const Folder folder;
  for (const std::size_t size : {0, 1, 1000, 3'000'000}) {
    const auto entry = entry_of(1, size);
    write_entry(folder.path(), name, entry);
    EXPECT_EQ(fs::file_size(path_of(folder.path(), name)),
              static_cast<std::uintmax_t>(file_size_of(entry)));
    const auto result = read_entry(folder.path(), name);
    EXPECT_EQ(result.status, ReadStatus::ok) << result.why;
    EXPECT_EQ(result.entry, entry);
  }
  EXPECT_TRUE(fs::is_empty(unfinished_folder(folder.path())));
}

TEST(DiskEntry, IsReadIntoTheMemoryThatIsGiven) {
  const Folder folder;
  for (const std::size_t size : {0, 1000, 3'000'000}) {
    write_entry(folder.path(), name, entry_of(1, size));
    for (const std::size_t given : {0, 1, 1000, 4'000'000}) {
      RawBytes room(given, 7);
      const auto* memory = room.data();
      const auto result = read_entry(folder.path(), name, std::move(room));
      EXPECT_EQ(result.status, ReadStatus::ok) << result.why;
      EXPECT_EQ(result.entry, entry_of(1, size));
      EXPECT_TRUE(given < size || result.entry.payload.data() == memory) << size;
    }
  }
}

TEST(DiskEntry, IsNamedByItsKey) {
  const auto path = path_of("/cache", name).string();
  EXPECT_EQ(path, "/cache/" + to_hex(name.model) + "/pages/" + to_hex(name.key).substr(0, 2) + "/" +
                      to_hex(name.key));
  EXPECT_EQ(digest_from_hex(to_hex(name.key)), name.key);
  std::string upper = to_hex(name.key);
  upper[3] = 'A';
  for (const auto& text :
       {std::string(), std::string(63, '0'), std::string(65, '0'), std::string(64, 'g'), upper})
    EXPECT_FALSE(digest_from_hex(text)) << text;
}

TEST(DiskEntry, IsTheOwnersAlone) {
  const Folder folder;
  write_entry(folder.path(), name, entry_of(1));
  for (auto path = path_of(folder.path(), name); path != folder.path(); path = path.parent_path())
    EXPECT_EQ(fs::status(path).permissions() & (fs::perms::group_all | fs::perms::others_all),
              fs::perms::none)
        << path;
}

TEST(DiskEntry, ABitFlippedAnywhereIsNoticed) {
  const Folder folder;
  write_entry(folder.path(), name, entry_of(1, 40));
  const auto path = path_of(folder.path(), name);
  const auto good = read_file(path);
  for (std::size_t i = 0; i < 8 * good.size(); i += rounds(1, 7)) {
    auto bytes = good;
    bytes[i / 8] ^= static_cast<std::uint8_t>(1 << i % 8);
    overwrite(path, bytes);
    EXPECT_EQ(read_entry(folder.path(), name).status, ReadStatus::damaged) << "bit " << i;
  }
}

TEST(DiskEntry, EveryOtherLengthIsNoticed) {
  const Folder folder;
  write_entry(folder.path(), name, entry_of(1, 40));
  const auto path = path_of(folder.path(), name);
  const auto good = read_file(path);
  for (std::size_t size = 0; size < good.size() + 3; ++size) {
    auto bytes = good;
    bytes.resize(size);
    overwrite(path, bytes);
    const auto expected = size == good.size() ? ReadStatus::ok : ReadStatus::damaged;
    EXPECT_EQ(read_entry(folder.path(), name).status, expected) << size;
  }
}

TEST(DiskEntry, AnotherEntryUnderThisNameIsNoticed) {
  const Folder folder;
  const auto other = [&](auto change) {
    auto changed = name;
    change(changed);
    return changed;
  };
  const EntryName others[] = {other([](auto& n) { n.key = key_of(2); }),
                              other([](auto& n) { n.model = key_of(2); }),
                              other([](auto& n) { n.kind = EntryKind::features; })};
  write_entry(folder.path(), name, entry_of(1));
  for (const auto& wrong : others) {
    write_entry(folder.path(), wrong, entry_of(1));
    fs::copy_file(path_of(folder.path(), wrong), path_of(folder.path(), name),
                  fs::copy_options::overwrite_existing);
    EXPECT_EQ(read_entry(folder.path(), name).status, ReadStatus::damaged);
  }
}

TEST(DiskEntry, WhatIsNoPlainFileIsNotReadAndHoldsNobodyUp) {
  const Folder folder;
  EXPECT_EQ(read_entry(folder.path(), name).status, ReadStatus::absent);
  write_entry(folder.path(), name, entry_of(1));
  const auto path = path_of(folder.path(), name), elsewhere = folder.path() / "elsewhere";
  fs::rename(path, elsewhere);
  fs::create_symlink(elsewhere, path);
  EXPECT_NE(read_entry(folder.path(), name).status, ReadStatus::ok);
  fs::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(read_entry(folder.path(), name).status, ReadStatus::damaged);
  fs::remove(path);
  fs::create_directory(path);
  EXPECT_EQ(read_entry(folder.path(), name).status, ReadStatus::damaged);
}

TEST(DiskEntry, AFolderThatVanishedIsNotMadeAnew) {
  const Folder folder;
  const auto gone = folder.path() / "unmounted";
  EXPECT_THROW(write_entry(gone, name, entry_of(1)), Error);
  EXPECT_FALSE(fs::exists(gone));
}

}  // namespace
}  // namespace pippin::engine
