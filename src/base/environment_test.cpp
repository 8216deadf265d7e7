#include "base/environment.h"

#include <gtest/gtest.h>

#include <map>

namespace pippin {
namespace {

Environment of(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

TEST(EnvironmentVariables, TheFirstThatSaysSomethingCounts) {
  const auto variable = of({{"B", ""}, {"C", "c"}, {"D", "d"}});
  EXPECT_EQ(first_of(variable, {"A", "B", "C", "D"}), "c");
  EXPECT_EQ(first_of(variable, {"A", "B"}), "");
}

TEST(EnvironmentVariables, AUsersFolderIsNamedOrBelowTheHome) {
  const auto folder = [](std::map<std::string, std::string> variables) {
    return user_folder(of(std::move(variables)), "XDG_CACHE_HOME", ".cache");
  };
  EXPECT_EQ(folder({{"XDG_CACHE_HOME", "/x"}, {"HOME", "/h"}}), "/x");
  EXPECT_EQ(folder({{"XDG_CACHE_HOME", ""}, {"HOME", "/h"}}), "/h/.cache");
  EXPECT_EQ(folder({{"HOME", ""}}), "");
  EXPECT_EQ(folder({}), "");
}

}  // namespace
}  // namespace pippin
