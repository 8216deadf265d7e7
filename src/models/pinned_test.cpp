// What a change of structure must not change: digests of greedy tokens and of logits' bits by the CPU's kernels, for each checkpoint of
// tests/golden and the demo model, kept in tests/golden/pinned.json by instruction set.
//
// PIPPIN_PIN=1 writes the file anew for the instruction sets of this machine and leaves the others' entries as they are. Do that where a
// computation is meant to change, and say in the commit which and why.
#include <cstdlib>
#include <fstream>
#include <span>

#include "base/digest.h"
#include "kernels/cpu/isa.h"
#include "models/testing.h"

namespace pippin::models {
namespace {

using testing::Case;
using testing::golden_dir;
using testing::Part;
using testing::to_ints;

const auto pinned_file = golden_dir / "pinned.json";
constexpr int num_decoded = 6;

std::string digest_of(const std::vector<mx::array>& arrays) {
  Hasher hasher;
  for (const auto& array : arrays) {
    auto x = mx::contiguous(array);
    x.eval();
    hasher.update({x.data<std::uint8_t>(), x.nbytes()});
  }
  return to_hex(hasher.finish()).substr(0, 16);
}

// Angles are computed by MLX and by the system's mathematical functions, whose last bits differ between versions. Digests are compared
// where those functions give what they gave where the digests were made.
std::string elementary_functions() {
  const auto x = mx::arange(0.0, 4096.0, 0.37, mx::float32);
  std::vector<float> powers;
  for (int i = 0; i < 256; ++i) powers.push_back(std::pow(10000.0f, static_cast<float>(i) / 256));
  return digest_of({mx::cos(x), mx::sin(x), mx::array(powers.begin(), {256}, mx::float32)});
}

struct Arithmetic {
  const char* name;
  bool exact;
  nn::KvStorage kv;
};

// The demo model takes the first two: it is large, and pages are the same for all models.
const Arithmetic all_arithmetics[] = {{"float32", true, {mx::float32}},
                                      {"fast", false, {mx::float16}},
                                      {"kv8", false, {mx::float16, 8}},
                                      {"kv4", true, {mx::float32, 4}}};

std::vector<Case> golden_cases(const std::string& checkpoint) {
  const nn::SafetensorsFile arrays(golden_dir / (checkpoint + ".golden.safetensors"));
  const auto info = read_json_object(golden_dir / (checkpoint + ".golden.json"));
  std::vector<Case> cases;
  for (const auto& value : info.at("cases").as_array()) {
    Case c{std::string(value.at("name").as_string()), {}, {}, 0};
    c.tokens = to_ints(arrays.tensor(c.name + ".tokens"));
    for (const auto& picture : value.at("pictures").as_array())
      c.pictures.emplace_back(picture.as_string());
    cases.push_back(std::move(c));
  }
  return cases;
}

// The demo model's own world is of no matter here: any tokens will do.
std::vector<Case> demo_cases() {
  const auto config = read_json_object(testing::demo_model / "config.json");
  const auto image = static_cast<std::int32_t>(config.at("image_token_id").as_int64());
  const auto words = [](Case& c, int count) {
    for (int i = 0; i < count; ++i)
      c.tokens.push_back(static_cast<std::int32_t>(300 + c.tokens.size() * 37 % 900));
  };
  std::vector<Case> cases = {{"words", {}, {}, 0}, {"picture", {}, {"noise_45x70"}, 0}};
  words(cases[0], 40);
  words(cases[1], 6);
  const auto rows = testing::rows_of_picture(testing::demo_model, "noise_45x70");
  cases[1].tokens.insert(cases[1].tokens.end(), static_cast<std::size_t>(rows), image);
  words(cases[1], 5);
  return cases;
}

/// One checkpoint under one instruction set and arithmetic.
class Run {
 public:
  Run(const std::filesystem::path& dir, std::vector<Case> cases, cpu::Isa isa, const Arithmetic& a)
      : cases_(std::move(cases)),
        bench_(dir,
               {.cpu = std::make_shared<kernels::CpuBackend>(
                    kernels::CpuOptions{.threads = 2, .exact_activations = a.exact, .isa = isa})},
               a.kv) {}

  /// By mode.
  std::map<std::string, std::string> digests() {
    std::map<std::string, std::string> all;
    std::vector<mx::array> features, whole, chunks, decoded, cached;
    for (const auto& c : cases_) {
      add_features(c, features);
      whole.push_back(bench_.step({bench_.whole(c, 0)}));
      for (auto& x : in_chunks(c)) chunks.push_back(std::move(x));
      for (auto& x : decode(c)) decoded.push_back(std::move(x));
      cached.push_back(after_cached_prefix(c));
    }
    if (!features.empty()) all["features"] = digest_of(features);
    all["whole"] = digest_of(whole);
    all["chunks"] = digest_of(chunks);
    all["decode"] = digest_of(decoded);
    all["cached"] = digest_of(cached);
    all["batch"] = digest_of(in_a_batch());
    return all;
  }

 private:
  void add_features(const Case& c, std::vector<mx::array>& arrays) {
    if (c.pictures.empty()) return;
    const auto& features = bench_.features(c);
    arrays.push_back(features.embeddings);
    for (const auto& tap : features.deepstack) arrays.push_back(tap);
  }

  std::vector<mx::array> in_chunks(const Case& c) {
    std::vector<mx::array> logits;
    const int T = static_cast<int>(c.tokens.size());
    for (int begin = 0; begin < T; begin += 7)
      logits.push_back(
          bench_.step({{&c, c.tokens, begin, std::min(begin + 7, T), bench_.pages_for(1)}}));
    return logits;
  }

  static std::int32_t greedy(const mx::array& logits) {
    const int rows = logits.shape(0);
    return to_ints(mx::argmax(mx::slice(logits, {rows - 1, 0}, logits.shape()), -1)).front();
  }

  // Tokens, and the logits after each.
  std::vector<mx::array> decode(const Case& c) {
    auto part = bench_.whole(c, 2);
    auto logits = bench_.step({part});
    std::vector<mx::array> all;
    for (int i = 0; i < num_decoded; ++i) {
      const auto token = greedy(logits);
      part.tokens.push_back(token);
      part.begin = part.end++;
      logits = bench_.step({part});
      all.push_back(mx::array(token));
      all.push_back(logits);
    }
    return all;
  }

  // The rows behind a first page that another sequence has computed.
  mx::array after_cached_prefix(const Case& c) {
    const auto first = bench_.whole(c, 3);
    bench_.step({first});
    auto second = bench_.whole(c, 4);
    second.begin = second.end > testing::page_size ? testing::page_size : 0;
    if (second.begin > 0) second.pages.front() = first.pages.front();
    return bench_.step({second});
  }

  // All cases prefilled together but the last, which joins while they decode.
  std::vector<mx::array> in_a_batch() {
    std::vector<Part> parts;
    for (std::size_t i = 0; i + 1 < cases_.size(); ++i)
      parts.push_back(bench_.whole(cases_[i], static_cast<int>(i)));
    std::vector<mx::array> all = {bench_.step(parts)};
    for (auto& part : parts) {
      part.tokens.push_back(7);
      part.begin = part.end++;
    }
    parts.push_back(bench_.whole(cases_.back(), static_cast<int>(parts.size())));
    all.push_back(bench_.step(parts));
    return all;
  }

  std::vector<Case> cases_;
  testing::Bench bench_;
};

json::object digests_of(const std::filesystem::path& dir, const std::vector<Case>& cases,
                        std::span<const Arithmetic> arithmetics, cpu::Isa isa) {
  json::object result;
  for (const auto& arithmetic : arithmetics) {
    json::object modes;
    for (const auto& [mode, digest] : Run(dir, cases, isa, arithmetic).digests())
      modes[mode] = digest;
    result[arithmetic.name] = std::move(modes);
  }
  return result;
}

class Pinned : public ::testing::TestWithParam<const char*> {
 protected:
  Pinned() { mx::set_default_device(mx::Device::cpu); }
  ~Pinned() override { mx::set_default_device(device_); }

 private:
  mx::Device device_ = mx::default_device();
};

json::object& member(json::object& object, const std::string& key) {
  auto& value = object[key];
  return value.is_object() ? value.as_object() : value.emplace_object();
}

void write(const std::string& checkpoint, const std::map<std::string, json::object>& by_isa) {
  auto pinned =
      std::filesystem::exists(pinned_file) ? read_json_object(pinned_file) : json::object();
  pinned["elementary_functions"] = elementary_functions();
  for (const auto& [isa, digests] : by_isa)
    member(member(pinned, "digests"), isa)[checkpoint] = digests;
  std::ofstream out(pinned_file);
  for (const char c : json::serialize(pinned)) out << c << (c == '}' ? "\n" : "");
}

void compare(const std::string& checkpoint, const std::map<std::string, json::object>& by_isa) {
  const auto pinned = read_json_object(pinned_file);
  if (pinned.at("elementary_functions").as_string() != elementary_functions()) {
    std::cerr << "the digests were made with other elementary functions: not compared\n";
    return;
  }
  for (const auto& [isa, digests] : by_isa)
    if (const auto* wanted = pinned.at("digests").as_object().if_contains(isa))
      for (const auto& [arithmetic, modes] : digests) {
        EXPECT_EQ(json::serialize(modes), json::serialize(wanted->at(checkpoint).at(arithmetic)))
            << isa << " " << arithmetic;
      }
}

// Sanitizers watch the scalar kernels alone (kernels/cpu/CMakeLists.txt).
std::vector<cpu::Isa> isas() {
  return sanitized ? std::vector{cpu::Isa::scalar} : cpu::available_isas();
}

std::span<const Arithmetic> arithmetics_of(bool demo) {
  const std::span<const Arithmetic> all(all_arithmetics);
  if (sanitized) return all.subspan(2);  // both kinds of pages, both kinds of activations
  return all.first(demo ? 2 : 4);
}

TEST_P(Pinned, BitsAreTheSame) {
  const std::string checkpoint = GetParam();
  const bool demo = checkpoint == "demo-model";
  const auto dir = demo ? testing::demo_model : golden_dir / checkpoint;
  const auto cases = demo ? demo_cases() : golden_cases(checkpoint);
  std::map<std::string, json::object> by_isa;
  for (const auto isa : isas()) {
    const std::string name(cpu::name_of(isa));
    by_isa[name] = digests_of(dir, cases, arithmetics_of(demo), isa);
    for (const auto& [arithmetic, modes] : by_isa[name])
      EXPECT_EQ(modes.at("whole"), modes.at("chunks")) << name << " " << arithmetic;
  }
  if (std::getenv("PIPPIN_PIN"))
    write(checkpoint, by_isa);
  else
    compare(checkpoint, by_isa);
}

std::vector<const char*> pinned_checkpoints() {
  auto all = testing::checkpoints();
  for (const char* name :
       {"qwen3_moe-mlx-4bit", "gpt_oss-bf16", "nemotron_h-bf16", "nemotron_h_moe-bf16",
        "qwen3_5_vision-mlx-4bit", "qwen3_next-bf16", "granitemoehybrid-mlx-4bit", "lfm2_moe-bf16",
        "gemma4_text-bf16", "gemma4-mlx-4bit"})
    all.push_back(name);
  if (!sanitized) all.push_back("demo-model");  // which has the small ones' layers
  return all;
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, Pinned, ::testing::ValuesIn(pinned_checkpoints()),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name)
                             c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

}  // namespace
}  // namespace pippin::models
