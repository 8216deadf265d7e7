// Mutations of JSON documents as such, for the targets that link this: bytes changed at random are hardly ever JSON any more.
#include <algorithm>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "fuzzing.h"

namespace pippin::fuzz {
namespace {

using Random = std::minstd_rand;

// One change of one document.
class Mutation {
 public:
  Mutation(json::value& root, Random& random) : random_(random) { collect(root); }

  void apply() {
    json::value& node = *nodes_[below(nodes_.size())];
    switch (below(7)) {
      case 0:
        node = interesting();
        return;
      case 1:
        node = json::value(*nodes_[below(nodes_.size())]);
        return;
      case 2:
        return drop(node);
      case 3:
        return add(node);
      case 4:
        return rename(node);
      default:
        return change(node);
    }
  }

 private:
  std::size_t below(std::size_t bound) { return random_() % bound; }

  void collect(json::value& value) {
    nodes_.push_back(&value);
    if (value.is_array())
      for (json::value& element : value.as_array()) collect(element);
    if (!value.is_object()) return;
    for (auto& member : value.as_object()) {
      keys_.emplace_back(member.key());
      collect(member.value());
    }
  }

  json::value interesting() {
    // clang-format off
    static const json::array values{
        nullptr, true, false, 0, 1, -1, 4096, 2147483647, INT64_MIN, UINT64_MAX, 0.5, -0.0, 1e308, 1e-320, 9007199254740993.0,
        "", "user", "auto", "null", std::string(300, 'a'), std::string("\0\x7f", 2), "\xf0\x9f\x98\x80", "data:,", "\\d+$",
        json::array(), json::object(), json::array{1, "a"}, json::object{{"type", "text"}, {"text", "x"}}};
    // clang-format on
    return values[below(values.size())];
  }

  std::string key() {
    if (keys_.empty() || below(16) == 0) return "key";
    return keys_[below(keys_.size())];
  }

  void drop(json::value& node) {
    if (node.is_array() && !node.as_array().empty()) {
      auto& array = node.as_array();
      array.erase(array.begin() + static_cast<std::ptrdiff_t>(below(array.size())));
    } else if (node.is_object() && !node.as_object().empty()) {
      auto& object = node.as_object();
      object.erase(object.begin() + static_cast<std::ptrdiff_t>(below(object.size())));
    } else {
      node = nullptr;
    }
  }

  void add(json::value& node) {
    json::value copy = below(2) == 0 ? interesting() : json::value(*nodes_[below(nodes_.size())]);
    if (node.is_array()) {
      auto& array = node.as_array();
      array.insert(array.begin() + static_cast<std::ptrdiff_t>(below(array.size() + 1)), copy);
    } else if (node.is_object()) {
      node.as_object()[key()] = std::move(copy);
    } else {
      node = json::array{node, std::move(copy)};
    }
  }

  void rename(json::value& node) {
    if (!node.is_object() || node.as_object().empty()) return add(node);
    auto& object = node.as_object();
    const auto member = object.begin() + static_cast<std::ptrdiff_t>(below(object.size()));
    json::value value = std::move(member->value());
    object.erase(member);
    object[key()] = std::move(value);
  }

  void change(json::value& node) {
    if (node.is_string()) {
      std::string bytes(node.as_string());
      const std::size_t size = bytes.size();
      bytes.resize(size + 16);
      bytes.resize(
          LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(bytes.data()), size, bytes.size()));
      if (below(8) != 0)  // what is no UTF-8 is no JSON either
        for (char& c : bytes) c = static_cast<char>(c & 0x7f);
      node = json::string(bytes);
    } else if (node.is_int64()) {
      node = node.as_int64() ^ (std::int64_t{1} << below(63));
    } else if (node.is_double()) {
      node = node.as_double() * (below(2) ? -2 : 1e9);
    } else {
      add(node);
    }
  }

  Random& random_;
  std::vector<json::value*> nodes_;
  std::vector<std::string> keys_;
};

std::optional<json::value> parsed(std::string_view text) {
  try {
    return parse_json(text, "input");
  } catch (const Error&) {
    return {};
  }
}

}  // namespace
}  // namespace pippin::fuzz

// Where the input's rest (fuzzing.h) is JSON, mostly one of its values is changed, dropped, copied elsewhere, or given another
// name or type; else bytes change.
std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                    unsigned seed) {
  using namespace pippin::fuzz;
  Random random(seed);
  const Input input(data, size);
  auto document = random() % 8 == 0 ? std::nullopt : parsed(input.rest);
  if (!document) return LLVMFuzzerMutate(data, size, max_size);
  for (auto left = 1 + random() % 3; left > 0; --left) Mutation(*document, random).apply();
  const std::string text = pippin::json::serialize(*document);
  const std::size_t head = input.line.size() + 1;
  if (head + text.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data + head, text.data(), text.size());
  return head + text.size();
}
