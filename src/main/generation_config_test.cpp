#include "main/generation_config.h"

#include <gtest/gtest.h>

#include <fstream>

namespace pippin {
namespace {

namespace fs = std::filesystem;

// What is recommended where generation_config.json has this text; without the file where it is empty.
SamplingOptions recommended(const std::string& text) {
  const fs::path dir = fs::path(::testing::TempDir()) / "pippin_generation_config";
  fs::remove_all(dir);
  fs::create_directories(dir);
  if (!text.empty()) std::ofstream(dir / "generation_config.json") << text;
  const SamplingOptions sampling = recommended_sampling(dir);
  fs::remove_all(dir);
  return sampling;
}

TEST(GenerationConfig, IsTaken) {
  const SamplingOptions sampling = recommended(
      R"({"do_sample": true, "temperature": 0.6, "top_p": 0.95, "top_k": 20, "min_p": 0.1})");
  EXPECT_FLOAT_EQ(sampling.temperature, 0.6f);
  EXPECT_FLOAT_EQ(sampling.top_p, 0.95f);
  EXPECT_EQ(sampling.top_k, 20);
  EXPECT_FLOAT_EQ(sampling.min_p, 0.1f);
}

TEST(GenerationConfig, ModelsThatDoNotSampleAreGreedy) {
  EXPECT_EQ(recommended(R"({"do_sample": false, "temperature": 0.6})").temperature, 0);
}

TEST(GenerationConfig, MayBeAbsentOrOdd) {
  EXPECT_EQ(recommended("").temperature, SamplingOptions().temperature);
  EXPECT_EQ(recommended("{}").temperature, SamplingOptions().temperature);
  EXPECT_EQ(recommended(R"({"top_p": 7, "top_k": null})").top_p, SamplingOptions().top_p);
}

}  // namespace
}  // namespace pippin
