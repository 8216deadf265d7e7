#include "main/served_models.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "pippin/error.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;

class ServedModels : public ::testing::Test {
 protected:
  ServedModels() {
    dir_ = fs::temp_directory_path() / ("pippin_served_" + std::to_string(::getpid()));
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  ~ServedModels() override { fs::remove_all(dir_); }

  fs::path write(const std::string& name, const std::string& text = "") {
    fs::create_directories((dir_ / name).parent_path());
    std::ofstream(dir_ / name) << text;
    return dir_ / name;
  }
  static std::vector<std::string> names(const std::vector<WantedModel>& models) {
    std::vector<std::string> names;
    for (const WantedModel& model : models) names.push_back(model.name);
    return names;
  }
  static ServeCommand parse(std::vector<const char*> words) {
    words.insert(words.begin(), {"pippin", "serve"});
    int status = 0;
    const auto line = parse_command_line(static_cast<int>(words.size()), words.data(), status);
    EXPECT_TRUE(line);
    return line ? std::get<ServeCommand>(line->command) : ServeCommand();
  }
  static std::string refusal(const std::function<void()>& work) {
    try {
      work();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  fs::path dir_;
};

TEST_F(ServedModels, AFolderHasItsModels) {
  write("b/config.json");
  write("a/weights.gguf");
  write("org/c/config.json");
  write("d.gguf");
  write("notes/read.me");
  write("read.me");
  const auto models = models_in_folder(dir_, {});
  EXPECT_EQ(names(models), (std::vector<std::string>{"a", "b", "d", "org/c"}));
  for (const WantedModel& model : models) EXPECT_FALSE(model.loads_at_start);
  EXPECT_NE(refusal([&] { models_in_folder(dir_ / "notes", {}); }).find("no model"),
            std::string::npos);
}

TEST_F(ServedModels, AFolderAndAFileOfOneNameAreTwoModels) {
  write("m/config.json");
  write("m.gguf");
  const auto models = models_in_folder(dir_, {});
  EXPECT_EQ(names(models), (std::vector<std::string>{"m", "m.gguf"}));
}

TEST_F(ServedModels, AFolderLeavesOutWhatIsNoModel) {
  write("a/config.json");
  write(".cache/x/config.json");
  write("b\xff/config.json");
  fs::create_directories(dir_ / "pipe");
  ASSERT_EQ(::mkfifo((dir_ / "pipe/weights.gguf").c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo((dir_ / "c.gguf").c_str(), 0600), 0);
  EXPECT_EQ(names(models_in_folder(dir_, {})), (std::vector<std::string>{"a"}));
}

TEST_F(ServedModels, APathIsAnAliasUnlessItIsAnothersName) {
  const auto file = write("models.toml", "[x]\npath = \"b\"\n[b]\npath = \"c\"\n");
  const std::string name = file.string();
  const auto models = wanted_models(parse({"--models", name.c_str()}));
  ASSERT_EQ(names(models), (std::vector<std::string>{"x", "b"}));
  EXPECT_TRUE(models[0].aliases.empty());
  EXPECT_EQ(models[1].aliases, (std::vector<std::string>{"c"}));
}

TEST_F(ServedModels, AFileHasNamesAndOptions) {
  write("models/q/config.json");
  const auto file = write("models.toml",
                          "# what this machine serves\n"
                          "[qwen3-0.6b]\n"
                          "path = \"models/q\"\n"
                          "aliases = [\"small\", \"default\"]\n"
                          "pin = true\n"
                          "load = true\n"
                          "kv-bits = 8\n"
                          "max-context = 4096\n"
                          "no-prefix-cache = true\n"
                          "\n"
                          "[demo]\n");
  const std::string name = file.string();
  const ServeCommand command = parse({"--models", name.c_str(), "--max-context", "512"});
  EXPECT_TRUE(command.models.empty()) << "the built-in model is not served beside others";
  const auto models = wanted_models(command);
  ASSERT_GE(models.size(), 1u);
  EXPECT_EQ(models[0].name, "qwen3-0.6b");
  EXPECT_EQ(models[0].model, (dir_ / "models/q").string());
  EXPECT_EQ(models[0].aliases,
            (std::vector<std::string>{"small", "default", (dir_ / "models/q").string()}));
  EXPECT_TRUE(models[0].pinned);
  EXPECT_TRUE(models[0].loads_at_start);
  EXPECT_EQ(models[0].engine.kv_bits, 8);
  EXPECT_EQ(models[0].engine.max_context, 4096);
  EXPECT_FALSE(models[0].engine.prefix_cache);
}

TEST_F(ServedModels, WhatATableLeavesOutIsTheCommandLines) {
  const auto file =
      write("models.toml", "[a]\npath = \"demo\"\n[b]\npath = \"demo\"\nkv-bits = 4\n");
  const std::string name = file.string();
  const auto models = wanted_models(parse({"--models", name.c_str(), "--max-context", "512"}));
  EXPECT_EQ(names(models), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(models[0].engine.max_context, 512);
  EXPECT_EQ(models[0].engine.kv_bits, 0);
  EXPECT_EQ(models[1].engine.kv_bits, 4);
}

TEST_F(ServedModels, MistakesInAFileAreNamed) {
  const auto told = [&](const std::string& text) {
    const std::string name = write("models.toml", text).string();
    return refusal([&] { wanted_models(parse({"--models", name.c_str()})); });
  };
  for (const auto& [text, part] : std::vector<std::pair<std::string, std::string>>{
           {"path = \"demo\"\n", "no model's table"},
           {"[a]\npath = \"demo\"\npin = \"maybe\"\n", "pin must be true or false"},
           {"[a]\npath = \"demo\"\nkv-bits = 7\n", "kv-bits"},
           {"[a]\npath = \"demo\"\ncolour = \"red\"\n", "colour"},
           {"[a]\npath = \"demo\"\naliases = [\"x\"]\n[b]\npath = \"demo\"\naliases = [\"x\"]\n",
            "'x'"},
       })
    EXPECT_NE(told(text).find(part), std::string::npos) << text << told(text);
}

TEST_F(ServedModels, TheFirstOfTheCommandLineIsLoadedAtTheStart) {
  const auto models = wanted_models(parse({"a", "b", "--idle-unload", "5", "--max-loaded", "1"}));
  ASSERT_EQ(models.size(), 2u);
  EXPECT_TRUE(models[0].loads_at_start);
  EXPECT_FALSE(models[1].loads_at_start);
  EXPECT_NE(refusal([&] { wanted_models(parse({"a", "b", "--served-model-name", "c"})); }), "");
}

TEST_F(ServedModels, WeightsAreThoseOfTheFiles) {
  write("a/model-1.safetensors", std::string(100, 'x'));
  write("a/model-2.safetensors", std::string(50, 'x'));
  write("a/tokenizer.json", std::string(70, 'x'));
  write("b.gguf", std::string(30, 'x'));
  EXPECT_EQ(weight_bytes(dir_ / "a"), 150);
  EXPECT_EQ(weight_bytes(dir_ / "b.gguf"), 30);
  EXPECT_EQ(weight_bytes(dir_ / "none"), 0);
}

}  // namespace
}  // namespace pippin
