#include "nn/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "kernels/testing.h"
#include "nn/testing.h"
#include "pippin/error.h"

namespace pippin::nn {
namespace {

using testing::error_message;
using testing::TempDir;
using testing::to_vector;

std::string with_size(const std::string& header, const std::string& data = "") {
  const std::uint64_t size = header.size();
  std::string file(sizeof size, '\0');
  std::memcpy(file.data(), &size, sizeof size);
  return file + header + data;
}

TEST(Safetensors, ReadsWhatMlxWrites) {
  const TempDir dir;
  const auto a = testing::random_array({3, 5}, 1);
  const auto b = mx::astype(testing::random_array({4}, 2), mx::bfloat16);
  mx::save_safetensors((dir.path() / "x.safetensors").string(), {{"a", a}, {"b", b}});
  const SafetensorsFile file(dir.path() / "x.safetensors");
  EXPECT_EQ(file.names().size(), 2u);
  EXPECT_EQ(file.shape("a"), (mx::Shape{3, 5}));
  EXPECT_EQ(file.dtype("b"), mx::bfloat16);
  EXPECT_EQ(to_vector(file.tensor("a")), to_vector(a));
  EXPECT_EQ(to_vector(file.tensor("b")), to_vector(b));
}

TEST(Safetensors, AnArrayOutlivesItsFile) {
  const TempDir dir;
  mx::save_safetensors((dir.path() / "x.safetensors").string(), {{"a", mx::full({64}, 3.0f)}});
  const auto a = [&] { return SafetensorsFile(dir.path() / "x.safetensors").tensor("a"); }();
  EXPECT_EQ(to_vector(a), std::vector<float>(64, 3.0f));
}

TEST(Safetensors, RefusesBrokenFilesByName) {
  const TempDir dir;
  const auto refuse = [&](const std::string& content) {
    dir.write("broken.safetensors", content);
    const auto message = error_message([&] { SafetensorsFile(dir.path() / "broken.safetensors"); });
    EXPECT_NE(message.find("broken.safetensors"), std::string::npos) << message;
    return message;
  };
  refuse("abc");
  refuse(std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10));
  refuse(with_size("{"));
  refuse(with_size("[]"));
  refuse(with_size(R"({"a": 1})"));
  refuse(with_size(R"({"a": {"dtype": "F32"}})"));
  refuse(with_size(R"({"a": {"dtype": "Q9", "shape": [1], "data_offsets": [0, 4]}})", "1234"));
  refuse(with_size(R"({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}})", "1234"));
  refuse(with_size(R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}})", "1234"));
  refuse(with_size(
      R"({"a": {"dtype": "F32", "shape": [2147483647, 2147483647, 2147483647], "data_offsets": [0, 4]}})",
      "1234"));
  refuse(with_size(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}})", "1234"));
  EXPECT_NE(
      refuse(with_size(R"({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})", "1234"))
          .find("'w'"),
      std::string::npos);
}

}  // namespace
}  // namespace pippin::nn
