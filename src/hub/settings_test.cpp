#include "hub/settings.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "pippin/error.h"

namespace pippin::hub {
namespace {

Settings read(const std::map<std::string, std::string>& variables) {
  return read_settings([&](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

TEST(HubSettings, AreThoseOfPythonsLibrary) {
  EXPECT_EQ(read({{"HOME", "/h"}}).endpoint, "https://huggingface.co");
  EXPECT_EQ(read({{"HOME", "/h"}}).cache, "/h/.cache/huggingface/hub");
  EXPECT_EQ(read({{"HOME", "/h"}, {"XDG_CACHE_HOME", "/x"}}).cache, "/x/huggingface/hub");
  EXPECT_EQ(read({{"HOME", "/h"}, {"HF_HOME", "~/hf"}}).cache, "/h/hf/hub");
  EXPECT_EQ(read({{"HF_HOME", "/hf"}, {"HUGGINGFACE_HUB_CACHE", "/old"}}).cache, "/old");
  EXPECT_EQ(read({{"D", "/d"}, {"HF_HUB_CACHE", "${D}/a$D"}, {"HF_HOME", "/hf"}}).cache, "/d/a/d");
  EXPECT_EQ(read({{"HF_ENDPOINT", "http://127.0.0.1:1/"}}).endpoint, "http://127.0.0.1:1");
  for (const char* value : {"1", "on", "YES", "True"})
    EXPECT_TRUE(read({{"HF_HUB_OFFLINE", value}}).offline) << value;
  EXPECT_FALSE(read({{"HF_HUB_OFFLINE", "0"}}).offline);
  EXPECT_TRUE(read({{"TRANSFORMERS_OFFLINE", "1"}}).offline);
  EXPECT_EQ(read({{"HF_HUB_DOWNLOAD_TIMEOUT", "3"}}).silence.count(), 3);
}

TEST(HubSettings, ATokenIsInAVariableOrAFile) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "pippin_hub_token";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "token") << " hf_file\n";
  const std::string home = folder.string();
  EXPECT_EQ(read({{"HF_HOME", home}}).token, "hf_file");
  EXPECT_EQ(read({{"HF_HOME", home}, {"HF_TOKEN", "hf_mine\n"}}).token, "hf_mine");
  EXPECT_EQ(read({{"HF_HOME", "/none"}, {"HF_TOKEN_PATH", home + "/token"}}).token, "hf_file");
  EXPECT_EQ(read({{"HF_HOME", home}, {"HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"}}).token, "");
  EXPECT_EQ(read({{"HF_HOME", "/none"}}).token, "");
  std::filesystem::remove_all(folder);
}

TEST(HubSettings, WhatCannotBeUsedIsNamed) {
  for (const auto& [name, value] :
       std::map<std::string, std::string>{{"HF_ENDPOINT", "file:///etc"},
                                          {"HF_ENDPOINT", "hub"},
                                          {"HF_TOKEN", "a\x01z"},
                                          {"HF_HUB_DOWNLOAD_TIMEOUT", "soon"}})
    try {
      read({{name, value}});
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos);
    }
}

}  // namespace
}  // namespace pippin::hub
