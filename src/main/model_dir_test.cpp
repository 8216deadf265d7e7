#include "main/model_dir.h"

#include <gtest/gtest.h>

#include <fstream>

#include "pippin/error.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;

class ModelDir : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::canonical(::testing::TempDir()) / "pippin_model_dir";
    fs::remove_all(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  fs::path model_at(const fs::path& place) {
    fs::create_directories(root_ / place);
    std::ofstream(root_ / place / "config.json") << "{}";
    return root_ / place;
  }

  fs::path root_;
};

TEST_F(ModelDir, IsTheOneNamed) {
  const fs::path dir = model_at("some/model");
  EXPECT_EQ(find_model(dir.string(), ""), dir);
  EXPECT_EQ(find_model((dir / ".." / "model").string(), ""), dir);
}

TEST_F(ModelDir, DemoIsFoundInstalledAndInTheSourceTree) {
  const fs::path source = model_at("source/assets/demo-model");
  EXPECT_EQ(find_model("demo", root_ / "source/build/release/pippin"), source);
  const fs::path installed = model_at("prefix/share/pippin/demo-model");
  EXPECT_EQ(find_model("demo", root_ / "prefix/bin/pippin"), installed);
}

TEST_F(ModelDir, ErrorsSayWhatAModelIs) {
  fs::create_directories(root_ / "empty");
  for (const std::string& model :
       {(root_ / "empty").string(), std::string("/no/such/model"), std::string("demo")}) {
    try {
      find_model(model, root_ / "bin/pippin");
      FAIL() << model;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::not_found);
      EXPECT_NE(std::string(error.what()).find("model"), std::string::npos);
    }
  }
}

TEST_F(ModelDir, TheProgramKnowsWhereItIs) {
  EXPECT_TRUE(fs::exists(program_path("pippin_main_test")));
}

}  // namespace
}  // namespace pippin
