#include "hub/name.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "pippin/error.h"

namespace pippin::hub {
namespace {

TEST(ModelName, IsARepositoryAtARevision) {
  EXPECT_EQ(parse_model_name("org/Name-1.5_x"), (ModelName{"org/Name-1.5_x", "main"}));
  EXPECT_EQ(parse_model_name("org/name@refs/pr/1"), (ModelName{"org/name", "refs/pr/1"}));
  EXPECT_EQ(parse_model_name("hf://org/name@v1.0"), (ModelName{"org/name", "v1.0"}));
  EXPECT_EQ(parse_model_name("org/name@v1")->text(), "org/name@v1");
  EXPECT_EQ(parse_model_name("org/name")->text(), "org/name");
}

TEST(ModelName, PathsAreNone) {
  for (const char* text : {"", "demo", "name", "./org/name", "../name", "/org/name", "~/name",
                           "org/name/", "a/b/c", "org//name", "org/..", "../..", "-org/name",
                           "org/name.git", "or g/name", "org/na--me", "org/.name", "@main"})
    EXPECT_FALSE(parse_model_name(text)) << text;
}

TEST(ModelName, ARevisionIsNoWayOut) {
  for (const char* text :
       {"org/name@../../x", "org/name@/etc", "org/name@", "org/name@a//b", "org/name@a/./b",
        "org/name@a b", "org/name@-x", "hf://name", "hf://../x", "org/name@a\nb"})
    EXPECT_THROW(parse_model_name(text), Error) << text;
}

TEST(ModelName, ShortOnesAreInOneTable) {
  EXPECT_EQ(parse_model_name("qwen3-0.6b")->repo, "mlx-community/Qwen3-0.6B-4bit");
  EXPECT_EQ(parse_model_name("Qwen3:0.6B")->repo, "mlx-community/Qwen3-0.6B-4bit");
  EXPECT_EQ(parse_model_name("qwen3-0.6b@abc")->revision, "abc");
  EXPECT_GE(short_names().size(), 20u);
  std::set<std::string> names;
  std::string last;
  for (const ShortName& name : short_names()) {
    EXPECT_LT(last, name.name);
    last = name.name;
    EXPECT_EQ(parse_model_name(name.repo)->repo, name.repo);
    EXPECT_EQ(parse_model_name(name.name)->repo, name.repo);
    EXPECT_TRUE(names.insert(name.repo).second) << name.repo;
  }
}

TEST(ModelName, ACommitHas40Digits) {
  EXPECT_TRUE(is_commit(std::string(40, 'a')));
  EXPECT_FALSE(is_commit(std::string(39, 'a')));
  EXPECT_FALSE(is_commit(std::string(40, 'g')));
}

TEST(ModelName, MayNameAQuantization) {
  EXPECT_EQ(parse_model_name("org/name-GGUF:Q4_K_M"),
            (ModelName{"org/name-GGUF", "main", "Q4_K_M"}));
  EXPECT_EQ(parse_model_name("hf://org/name:UD-Q4_K_XL@v1"),
            (ModelName{"org/name", "v1", "UD-Q4_K_XL"}));
  EXPECT_EQ(parse_model_name("org/name:q8_0@v1")->text(), "org/name:q8_0@v1");
  for (const char* text : {"/a/b:c", "a:b", "a/b:", "a/b:../x", "a/b:c/d", "a/b:c:d", "a/b:-c"})
    EXPECT_FALSE(parse_model_name(text)) << text;
  EXPECT_THROW(parse_model_name("hf://org/name:"), Error);
}

}  // namespace
}  // namespace pippin::hub
