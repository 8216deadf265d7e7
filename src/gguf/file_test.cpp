#include "gguf/file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "gguf/architecture.h"
#include "gguf/model_files.h"
#include "gguf/testing.h"
#include "pippin/error.h"

namespace pippin::gguf {
namespace {

using testing::Writer;

class GgufFile : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& bytes, const std::string& name = "x.gguf") {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
  // The message of the Error that opening the bytes throws.
  std::string refusal(const std::string& bytes) {
    const auto path = write(bytes);
    try {
      File{path};
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::invalid_argument) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "was read";
    return "";
  }
  void expect_refused(const Writer& file, const std::string& why) {
    EXPECT_NE(refusal(file.bytes).find(why), std::string::npos) << refusal(file.bytes);
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(::testing::TempDir()) / ("pippin_gguf_" + std::to_string(::getpid()));
};

std::string read(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Writer small() {
  Writer file;
  return file.header(2, 3)
      .value("general.architecture", "llama")
      .value("llama.block_count", 7)
      .text("list")
      .number<std::uint32_t>(9)
      .number<std::uint32_t>(5)
      .number<std::uint64_t>(2)
      .number(-1)
      .number(4)
      .tensor("a", {32, 2}, 8, 0)
      .tensor("b", {3}, 0, 96)
      .data(96 + 12);
}

TEST_F(GgufFile, ReadsValuesAndTensors) {
  const File file(write(small().bytes));
  EXPECT_EQ(file.metadata().text("general.architecture"), "llama");
  EXPECT_EQ(file.metadata().integer("llama.block_count"), 7);
  EXPECT_EQ(file.metadata().integers("list"), (std::vector<std::int64_t>{-1, 4}));
  EXPECT_FALSE(file.metadata().integer("none"));
  const auto* a = file.find("a");
  ASSERT_TRUE(a);
  EXPECT_EQ(a->shape, (std::vector<int>{2, 32}));
  EXPECT_EQ(a->bytes, 68u);
  EXPECT_EQ(file.find("b")->offset % 32, 0u);
}

TEST_F(GgufFile, NamesAValueOfAnotherType) {
  const File file(write(small().bytes));
  const auto expect = [](auto&& action, const char* key) {
    try {
      action();
      ADD_FAILURE() << key;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(key), std::string::npos) << error.what();
    }
  };
  expect([&] { file.metadata().integer("general.architecture"); }, "'general.architecture'");
  expect([&] { file.metadata().text("llama.block_count"); }, "'llama.block_count'");
  expect([&] { file.metadata().integer("list"); }, "'list'");
  expect([&] { file.metadata().boolean("llama.block_count"); }, "'llama.block_count'");
  expect([&] { file.metadata().texts("list"); }, "'list'");
}

// Wherever a file ends; some places do, since each is a file.
TEST_F(GgufFile, RefusesEveryTruncation) {
  const auto bytes = small().bytes;
  for (std::size_t size = 1; size < bytes.size(); size += 7)
    EXPECT_NE(refusal(bytes.substr(0, size)), "") << size;
}

TEST_F(GgufFile, SaysWhatIsWrong) {
  const std::uint64_t huge = ~std::uint64_t{0};
  expect_refused(Writer().header(0, 0, 1), "version 1");
  expect_refused(Writer().header(huge, 0).data(64), "tensor");
  expect_refused(Writer().header(0, huge).data(64), "metadata");
  expect_refused(Writer().header(0, 1).number(huge).data(64), "metadata key");
  expect_refused(Writer().header(0, 1).text("k").number<std::uint32_t>(8).number(huge).data(64),
                 "'k'");
  expect_refused(Writer().header(0, 1).text("k").number<std::uint32_t>(99).data(64), "type 99");
  expect_refused(
      Writer().header(0, 1).text("k").number<std::uint32_t>(9).number<std::uint32_t>(9).data(64),
      "type 9");
  for (const std::uint32_t type : {0u, 4u, 8u, 12u})
    expect_refused(
        Writer().header(0, 1).text("k").number<std::uint32_t>(9).number(type).number(huge).data(64),
        "'k'");
  expect_refused(Writer().header(0, 2).value("k", 1).value("k", 2), "'k' twice");
  expect_refused(Writer().header(1, 0).tensor("w", {32}, 23, 0).data(64), "type 23");
  expect_refused(Writer().header(1, 0).tensor("w", {}, 0, 0).data(64), "0 axes");
  expect_refused(Writer().header(1, 0).tensor("w", {1, 1, 1, 1, 1}, 0, 0).data(64), "5 axes");
  expect_refused(Writer().header(1, 0).tensor("w", {0}, 0, 0).data(64), "axis of 0");
  expect_refused(Writer().header(1, 0).tensor("w", {huge}, 0, 0).data(64), "axis of");
  expect_refused(Writer().header(1, 0).tensor("w", {48}, 8, 0).data(64), "whole blocks of Q8_0");
  expect_refused(Writer().header(1, 0).tensor("w", {4}, 0, 4).data(64), "not aligned");
  expect_refused(Writer().header(1, 0).tensor("w", {4}, 0, huge - 31).data(64),
                 "beyond the file's end");
  expect_refused(Writer().header(1, 0).tensor("w", {17}, 0, 0).data(64), "beyond the file's end");
  const std::uint64_t most = 2147483647;
  expect_refused(Writer().header(1, 0).tensor("w", {most, most, most, most}, 0, 0).data(64),
                 "beyond the file's end");
  expect_refused(Writer().header(2, 0).tensor("w", {1}, 0, 0).tensor("w", {1}, 0, 0).data(64),
                 "'w' twice");
  for (const std::uint32_t alignment : {0u, 3u, 1u << 30})
    expect_refused(Writer().header(0, 1).value("general.alignment", alignment),
                   "general.alignment");
}

// Bytes changed at random in a whole model: what is left is read or refused.
TEST_F(GgufFile, DamageIsRefusedOrHarmless) {
  auto bytes = read(std::filesystem::path(PIPPIN_SOURCE_DIR) / "tests/golden/gguf/qwen2.gguf");
  const auto header = std::min<std::size_t>(bytes.size(), 3000);
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 80; ++i) {
    auto damaged = bytes;
    for (int j = 0; j < 3; ++j) damaged[random() % header] = static_cast<char>(random());
    const auto path = write(damaged);
    try {
      for (const char* name : {"config.json", "generation_config.json"}) model_file(path, name);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::invalid_argument) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 20);
}

TEST_F(GgufFile, PartsAreOneModel) {
  const auto part = [](std::uint32_t number, const char* tensor) {
    return Writer()
        .header(1, 2)
        .text("split.no")
        .number<std::uint32_t>(2)
        .number(static_cast<std::uint16_t>(number))
        .text("split.count")
        .number<std::uint32_t>(2)
        .number<std::uint16_t>(2)
        .tensor(tensor, {1}, 0, 0)
        .data(4)
        .bytes;
  };
  write(part(0, "a"), "m-00001-of-00002.gguf");
  EXPECT_THROW(open_all(folder_ / "m-00001-of-00002.gguf"), Error);
  write(part(1, "b"), "m-00002-of-00002.gguf");
  EXPECT_EQ(open_all(folder_ / "m-00001-of-00002.gguf").size(), 2u);
  EXPECT_THROW(open_all(folder_ / "m-00002-of-00002.gguf"), Error);
  write(part(0, "b"), "m-00002-of-00002.gguf");
  EXPECT_THROW(open_all(folder_ / "m-00001-of-00002.gguf"), Error);
}

TEST_F(GgufFile, UnknownArchitecturesAreNamedBesideTheKnown) {
  const auto path = write(Writer().header(0, 1).value("general.architecture", "mamba").bytes);
  try {
    model_file(path, "config.json");
    FAIL();
  } catch (const Error& error) {
    const std::string what = error.what();
    EXPECT_NE(what.find("'mamba'"), std::string::npos) << what;
    EXPECT_NE(what.find("qwen3moe"), std::string::npos) << what;
  }
}

}  // namespace
}  // namespace pippin::gguf
