#include "media/local_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>

#include "pippin/error.h"

namespace pippin::media {
namespace {

namespace fs = std::filesystem;

// A folder with a root in it: root/cat.png, root/sub dir/dog.png, links, and secret.png outside.
class LocalFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "pippin_local_file_XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = fs::canonical(name);
    root_ = folder_ / "root";
    fs::create_directories(root_ / "sub dir");
    write(root_ / "cat.png", "cat");
    write(root_ / "sub dir" / "dog.png", "dog");
    write(folder_ / "secret.png", "secret");
    write(folder_ / "root2.png", "neighbour");
    fs::create_symlink(folder_ / "secret.png", root_ / "leak.png");
    fs::create_symlink(folder_, root_ / "up");
    fs::create_symlink("cat.png", root_ / "alias.png");
    fs::create_directory_symlink(root_, folder_ / "linked_root");
  }
  void TearDown() override { fs::remove_all(folder_); }

  static void write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

  std::string read(const std::string& url) const { return read(url, root_); }
  static std::string read(const std::string& url, const fs::path& root) {
    const auto bytes = read_local_file(url, root, 100);
    return {bytes.begin(), bytes.end()};
  }

  std::string refusal(const std::string& url) const {
    try {
      read(url);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::invalid_argument);
      EXPECT_EQ(error.field(), "");
      return error.what();
    }
    ADD_FAILURE() << "expected an Error for " << url;
    return "";
  }

  fs::path folder_, root_;
};

TEST_F(LocalFile, ReadsUnderTheRoot) {
  const std::string root = root_.string();
  EXPECT_EQ(read("cat.png"), "cat");
  EXPECT_EQ(read("./cat.png"), "cat");
  EXPECT_EQ(read("sub dir/dog.png"), "dog");
  EXPECT_EQ(read("alias.png"), "cat");
  EXPECT_EQ(read(root + "/cat.png"), "cat");
  EXPECT_EQ(read("file://" + root + "/sub%20dir/dog.png"), "dog");
  EXPECT_EQ(read("FILE://localhost" + root + "/cat.png"), "cat");
  EXPECT_EQ(read("file://cat.png"), "cat");
}

TEST_F(LocalFile, TheRootMayBeALink) {
  const fs::path linked = folder_ / "linked_root";
  EXPECT_EQ(read("cat.png", linked), "cat");
  EXPECT_EQ(read((linked / "cat.png").string(), linked), "cat");
  EXPECT_EQ(read((root_ / "cat.png").string(), linked), "cat");
}

TEST_F(LocalFile, RefusesWhatLiesOutside) {
  const std::string rule = "must lie under the media root";
  EXPECT_NE(refusal((folder_ / "secret.png").string()).find(rule), std::string::npos);
  EXPECT_NE(refusal((folder_ / "root2.png").string()).find(rule), std::string::npos);
  EXPECT_NE(refusal("file:///etc/passwd").find(rule), std::string::npos);
  EXPECT_NE(refusal("/no/such/file").find(rule), std::string::npos);
  EXPECT_NE(refusal("leak.png").find("symbolic link"), std::string::npos);
  EXPECT_NE(refusal("up/secret.png").find("symbolic link"), std::string::npos);
}

TEST_F(LocalFile, FollowsLinksWithinTheRoot) {
  fs::create_symlink("../cat.png", root_ / "sub dir" / "parent.png");
  fs::create_symlink(root_ / "sub dir" / "dog.png", root_ / "absolute.png");
  fs::create_directory_symlink("sub dir", root_ / "dir");
  EXPECT_EQ(read("sub dir/parent.png"), "cat");
  EXPECT_EQ(read("absolute.png"), "dog");
  EXPECT_EQ(read("dir/dog.png"), "dog");
  EXPECT_EQ(read("dir/parent.png"), "cat");
  fs::create_symlink("circle.png", root_ / "circle.png");
  refusal("circle.png");
  fs::create_symlink("sub dir/../../secret.png", root_ / "out.png");
  EXPECT_NE(refusal("out.png").find("symbolic link"), std::string::npos);
}

// Beside an attacker who swaps a folder and a link out of the root, and a file and such a link, as fast as the system can.
TEST_F(LocalFile, ASwapMeanwhileLeadsNowhere) {
  fs::create_directories(root_ / "inner");
  write(root_ / "inner" / "x.png", "mine");
  write(folder_ / "x.png", "secret");
  fs::create_directory_symlink(folder_, root_ / "link");
  write(root_ / "y.png", "mine");
  fs::create_symlink(folder_ / "x.png", root_ / "z.png");
  std::atomic<bool> done = false;
  std::thread attacker([&] {
    const auto swap = [&](const char* a, const char* b) {
      const fs::path x = root_ / a, y = root_ / b, aside = root_ / "aside";
      std::error_code error;
      fs::rename(x, aside, error);
      fs::rename(y, x, error);
      fs::rename(aside, y, error);
    };
    while (!done) {
      swap("inner", "link");
      swap("y.png", "z.png");
    }
  });
  int read_whole = 0;
  for (int i = 0; i < 4000; ++i)
    for (const char* name : {"inner/x.png", "y.png"}) {
      try {
        EXPECT_EQ(read(name), "mine");
        ++read_whole;
      } catch (const Error& refused) {
        EXPECT_EQ(refused.code(), Code::invalid_argument);
      }
    }
  done = true;
  attacker.join();
  EXPECT_GT(read_whole, 0);
}

TEST_F(LocalFile, AGrowingFileIsReadToTheLimitOnly) {
  write(root_ / "log.png", std::string(90, 'x'));
  std::atomic<bool> done = false;
  std::thread writer([&] {
    std::ofstream file(root_ / "log.png", std::ios::app);
    while (!done) file << std::string(1000, 'x') << std::flush;
  });
  // On a busy machine the writer's turn comes late.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  int refused = 0;
  for (int i = 0; i < 200 || (refused == 0 && std::chrono::steady_clock::now() < end); ++i) {
    try {
      EXPECT_LE(read("log.png").size(), 100u);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::payload_too_large);
      ++refused;
    }
    fs::resize_file(root_ / "log.png", 90);
  }
  done = true;
  writer.join();
  EXPECT_GT(refused, 0);
}

TEST_F(LocalFile, ErrorsTellNoPathOfTheServers) {
  ASSERT_EQ(mkfifo((root_ / "pipe.png").c_str(), 0600), 0);
  write(root_ / "large.png", std::string(101, 'x'));
  for (const char* name :
       {"missing.png", "sub dir", "pipe.png", "leak.png", "cat.png/x", "large.png"}) {
    try {
      read(name);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find(folder_.string()), std::string::npos)
          << error.what();
    }
  }
  try {
    read("cat.png", folder_ / "gone");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find(folder_.string()), std::string::npos) << error.what();
  }
}

TEST_F(LocalFile, RefusesDotsHoweverSpelt) {
  for (const char* url : {"../secret.png", "sub dir/../cat.png", "file://../secret.png",
                          "file://%2e%2e/secret.png", "..%2fsecret.png/.."}) {
    EXPECT_NE(refusal(url).find("'..'"), std::string::npos) << url;
  }
  EXPECT_NE(refusal(root_.string() + "/../secret.png").find("'..'"), std::string::npos);
}

TEST_F(LocalFile, RefusesWhatIsNotAFile) {
  refusal("");
  refusal("missing.png");
  refusal("sub dir");
  refusal("file://cat.png%00.jpg");
  refusal("file://cat%2");
  ASSERT_EQ(mkfifo((root_ / "pipe.png").c_str(), 0600), 0);
  EXPECT_NE(refusal("pipe.png").find("regular file"), std::string::npos);
}

TEST_F(LocalFile, RefusesEverythingWithoutARoot) {
  EXPECT_THROW(read((root_ / "cat.png").string(), fs::path()), Error);
  EXPECT_THROW(read("cat.png", folder_ / "missing"), Error);
}

TEST_F(LocalFile, HoldsTheLimit) {
  write(root_ / "large.png", std::string(101, 'x'));
  write(root_ / "just.png", std::string(100, 'x'));
  EXPECT_EQ(read("just.png").size(), 100u);
  try {
    read("large.png");
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::payload_too_large);
  }
}

}  // namespace
}  // namespace pippin::media
