#include "engine/disk/fingerprint.h"

#include <gtest/gtest.h>

#include <fstream>

#include "engine/disk/testing.h"

namespace pippin::engine {
namespace {

void write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

TEST(Fingerprint, FollowsFromWeightsConfigAndSetup) {
  const Folder folder;
  write(folder.path() / "config.json", "{}");
  write(folder.path() / "a.safetensors", "weights");
  write(folder.path() / "b.safetensors", "more");
  const std::vector<std::string> setup = {"float32", "16"};
  const auto first = model_fingerprint(folder.path(), setup);
  EXPECT_EQ(model_fingerprint(folder.path(), setup), first);
  write(folder.path() / "README.md", "words");
  EXPECT_EQ(model_fingerprint(folder.path(), setup), first);

  EXPECT_NE(model_fingerprint(folder.path(), {"float16", "16"}), first);
  EXPECT_NE(model_fingerprint(folder.path(), {"float321", "6"}), first);
  const auto changed = [&](const std::string& file, const std::string& from,
                           const std::string& to) {
    write(folder.path() / file, to);
    const auto other = model_fingerprint(folder.path(), setup);
    write(folder.path() / file, from);
    return other != first && model_fingerprint(folder.path(), setup) == first;
  };
  EXPECT_TRUE(changed("config.json", "{}", "{ }"));
  EXPECT_TRUE(changed("a.safetensors", "weights", "weightz"));
  std::filesystem::rename(folder.path() / "b.safetensors", folder.path() / "c.safetensors");
  EXPECT_NE(model_fingerprint(folder.path(), setup), first);
}

TEST(Fingerprint, IsTheSameInAnotherPlace) {
  const Folder one, two;
  for (const auto* folder : {&one, &two}) {
    write(folder->path() / "config.json", "{}");
    write(folder->path() / "a.safetensors", "weights");
  }
  EXPECT_EQ(model_fingerprint(one.path(), {}), model_fingerprint(two.path(), {}));
}

}  // namespace
}  // namespace pippin::engine
