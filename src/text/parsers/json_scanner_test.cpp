// Oracle: Boost.JSON's parse of the whole, for every prefix of some texts and for random bytes.
#include "text/parsers/json_scanner.h"

#include <gtest/gtest.h>

#include <random>

#include "base/json.h"

namespace pippin::text {
namespace {

using Status = JsonScanner::Status;

bool is_container(std::string_view text) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 64;
  const auto value = json::parse(json::string_view(text.data(), text.size()), error, {}, options);
  return !error && (value.is_object() || value.is_array());
}

Status scan(std::string_view text) {
  JsonScanner scanner;
  auto status = Status::open;
  for (const char byte : text) status = scanner.push(byte);
  return status;
}

TEST(JsonScanner, IsDoneExactlyWhereTheTextIsJson) {
  for (const std::string text : {R"({"a": [1, -2.5e3, true, null, "x\n\u00e9 é"], "b": {"c": {}}})",
                                 R"([[], {}, [{"k": ""}]])", R"({"a": 1} )", R"({"a": 1}x)",
                                 R"({"a" 1})", R"([1,])", "{\"a\": \"\n\"}", "[\"\xff\"]"})
    for (std::size_t size = 1; size <= text.size(); ++size) {
      const auto part = text.substr(0, size);
      EXPECT_EQ(scan(part) == Status::done, is_container(part)) << part;
    }
  const std::string deep(65, '[');
  EXPECT_EQ(scan(deep), Status::broken);
}

TEST(JsonScanner, AgreesOnRandomText) {
  std::mt19937 rng(3);
  const std::string bytes = "{}[]\",:1ea \\u0tru";
  for (int round = 0; round < 50'000; ++round) {
    std::string text(1, "{["[rng() % 2]);
    while (text.size() < 2 + rng() % 10) text += bytes[rng() % bytes.size()];
    EXPECT_EQ(scan(text) == Status::done, is_container(text)) << text;
  }
}

TEST(JsonScanner, TellsWhatEachByteBrought) {
  JsonScanner scanner;
  std::string seen;
  for (const char byte : std::string(R"({"k": [12, "s"]})")) {
    scanner.push(byte);
    for (const auto& event : scanner.events())
      seen += std::to_string(static_cast<int>(event.kind)) + std::to_string(event.depth) +
              event.text + " ";
  }
  // object_begin, key k, array_begin, scalar, string s, array_end, object_end
  EXPECT_EQ(seen, "00 41k 21 62 52s 31 10 ");
}

}  // namespace
}  // namespace pippin::text
