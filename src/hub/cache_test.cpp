#include "hub/cache.h"

#include <sys/file.h>

#include "hub/testing.h"

namespace pippin::hub {
namespace {

namespace fs = std::filesystem;

const std::string other_commit(40, 'b');

class CacheTest : public HubTest {
 protected:
  // A file of a snapshot, as a download leaves it.
  void put(const std::string& commit, const std::string& path, char digit,
           const std::string& text) {
    const CachedRepo repo(settings_.cache, "o/n");
    repo.prepare();
    const std::string hash(64, digit);
    std::ofstream(repo.blob(hash)) << text;
    repo.link(commit, path, hash);
  }
  void put_model(const std::string& commit, char weights = '3') {
    put(commit, "config.json", '1', "{}");
    put(commit, "tokenizer.json", '2', "{}");
    put(commit, "model.safetensors", weights, "weights");
  }

  const CachedRepo repo() { return {settings_.cache, "o/n"}; }
};

TEST_F(CacheTest, LooksAsPythonsDoes) {
  put(test_commit, "config.json", '1', "{}");
  put(test_commit, "a/b/c.jinja", '2', "x");
  repo().set_commit("refs/pr/1", test_commit);
  const fs::path folder = settings_.cache / "models--o--n";
  EXPECT_EQ(fs::read_symlink(folder / "snapshots" / test_commit / "config.json"),
            "../../blobs/" + std::string(64, '1'));
  EXPECT_EQ(content_of(folder / "snapshots" / test_commit / "a/b/c.jinja"), "x");
  EXPECT_EQ(content_of(folder / "refs/refs/pr/1"), test_commit);
  EXPECT_EQ(repo().commit_of("refs/pr/1"), test_commit);
  EXPECT_EQ(repo().commit_of(other_commit), other_commit);
  EXPECT_FALSE(repo().commit_of("main"));
  EXPECT_TRUE(fs::exists(settings_.cache / "CACHEDIR.TAG"));
}

TEST_F(CacheTest, NoPathLeavesIt) {
  repo().prepare();
  const std::string hash(40, '1');
  for (const char* path : {"../x", "/etc/x", "a/../../x", "a//b", ""})
    EXPECT_THROW(repo().link(test_commit, path, hash), Error) << path;
  EXPECT_THROW(repo().link("..", "x", hash), Error);
  EXPECT_THROW(repo().link(test_commit, "x", "../../../etc/passwd"), Error);
  std::ofstream(settings_.cache / "models--o--n/ref") << "..";
  fs::create_directories(settings_.cache / "models--o--n/refs");
  std::ofstream(settings_.cache / "models--o--n/refs/main") << "../../../../etc";
  EXPECT_FALSE(repo().commit_of("main"));
}

TEST_F(CacheTest, AFileIsNoFolder) {
  put(test_commit, "additional_chat_templates", '1', "x");
  EXPECT_THROW(repo().link(test_commit, "additional_chat_templates/a.jinja", std::string(64, '1')),
               Error);
}

TEST_F(CacheTest, ASnapshotIsWholeOrSaysWhatItLacks) {
  put(test_commit, "config.json", '1', "{}");
  EXPECT_EQ(missing_files(repo().snapshot(test_commit)),
            (std::vector<std::string>{"tokenizer.json", "model.safetensors"}));
  put_model(test_commit);
  EXPECT_TRUE(missing_files(repo().snapshot(test_commit)).empty());
  put(test_commit, "model.safetensors.index.json", '4',
      R"({"weight_map": {"x": "model.safetensors", "y": "b.safetensors"}})");
  EXPECT_EQ(missing_files(repo().snapshot(test_commit)), std::vector<std::string>{"b.safetensors"});
  EXPECT_FALSE(find_snapshot(settings_.cache, {"o/n"}));
  put(test_commit, "b.safetensors", '5', "w");
  EXPECT_FALSE(find_snapshot(settings_.cache, {"o/n"}));  // no revision means it
  repo().set_commit("main", test_commit);
  EXPECT_EQ(find_snapshot(settings_.cache, {"o/n"}), repo().snapshot(test_commit));
  EXPECT_EQ(find_snapshot(settings_.cache, {"o/n", test_commit}), repo().snapshot(test_commit));
  fs::remove(repo().blob(std::string(64, '5')));
  EXPECT_FALSE(find_snapshot(settings_.cache, {"o/n"}));
}

TEST_F(CacheTest, IsListed) {
  put_model(test_commit);
  repo().set_commit("main", test_commit);
  repo().set_commit("v1", test_commit);
  put(other_commit, "config.json", '6', "{}");
  fs::create_directories(settings_.cache / "datasets--o--n/snapshots");
  const auto models = list_models(settings_.cache);
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0].repo, "o/n");
  EXPECT_EQ(models[0].revisions, (std::vector<std::string>{"main", "v1"}));
  EXPECT_EQ(models[0].bytes, 2 + 2 + 7);
  EXPECT_TRUE(models[0].whole);
  EXPECT_FALSE(models[1].whole);
  EXPECT_TRUE(list_models(settings_.cache / "none").empty());
}

TEST_F(CacheTest, ARevisionGoesWithWhatIsItsOwn) {
  put_model(test_commit);
  put_model(other_commit, '7');
  repo().set_commit("main", other_commit);
  repo().set_commit("v1", test_commit);
  EXPECT_EQ(remove_model(settings_.cache, "o/n", "v1"), 7);
  EXPECT_FALSE(fs::exists(repo().snapshot(test_commit)));
  EXPECT_FALSE(fs::exists(repo().blob(std::string(64, '3'))));
  EXPECT_TRUE(find_snapshot(settings_.cache, {"o/n"}));
  EXPECT_FALSE(repo().commit_of("v1"));
  EXPECT_THROW(remove_model(settings_.cache, "o/n", "v1"), Error);
  EXPECT_EQ(remove_model(settings_.cache, "o/n", ""), 2 + 2 + 7);
  EXPECT_FALSE(fs::exists(repo().folder()));
  EXPECT_THROW(remove_model(settings_.cache, "o/n", ""), Error);
  EXPECT_TRUE(list_models(settings_.cache).empty());
}

TEST_F(CacheTest, RemovalFollowsNoLink) {
  put_model(test_commit);
  const fs::path precious = settings_.cache / "precious";
  fs::create_directories(precious);
  std::ofstream(precious / "file") << "precious";
  fs::create_directory_symlink(precious, repo().snapshot(test_commit) / "sub");
  fs::create_symlink(precious / "file", repo().snapshot(test_commit) / "x");
  fs::create_directory_symlink(precious, settings_.cache / "models--o--linked");
  remove_model(settings_.cache, "o/n", "");
  remove_model(settings_.cache, "o/linked", "");
  EXPECT_EQ(content_of(precious / "file"), "precious");
  EXPECT_FALSE(fs::exists(settings_.cache / "models--o--linked"));
}

TEST_F(CacheTest, ALockIsWaitedFor) {
  repo().prepare();
  bool waited = false;
  {
    const Descriptor lock = repo().lock(std::string(40, '1'), [&] { waited = true; });
  }
  {
    const Descriptor lock = repo().lock(std::string(40, '1'), [&] { waited = true; });
  }
  EXPECT_FALSE(waited);
  Descriptor held = repo().lock(std::string(40, '1'), [] {});
  const Descriptor lock = repo().lock(std::string(40, '1'), [&] {
    waited = true;
    ::flock(held.get(), LOCK_UN);
  });
  EXPECT_TRUE(waited);
}

}  // namespace
}  // namespace pippin::hub
