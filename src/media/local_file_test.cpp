#include "media/local_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

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
