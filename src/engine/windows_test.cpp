// Windows with pages of their own, end to end: whatever the sizes of pages and pools, steps planned ahead, and starts on what others have
// left on disk, the answers are those of layers that keep all tokens.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "engine/disk/testing.h"
#include "engine/testing.h"

namespace pippin::engine {
namespace {

using namespace testing;  // of the engine's checkpoints

struct Case {
  const char* checkpoint;
  How how;
  int page_size = 16;
  bool overlap = false;
  int window = 0;  ///< of all layers, in place of the checkpoint's; 0: as that says
};

std::string text_of(const std::filesystem::path& file) {
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

class Windows : public ::testing::TestWithParam<Case> {
 protected:
  // sequences: that have window pages; 0: layers with a window have the same pages as all others.
  std::unique_ptr<Loop> loop_of(int sequences, bool prefix_cache, bool disk = false) const {
    return std::make_unique<Loop>([=, this, how = GetParam()] {
      const auto cpu = backend_of(how.how);
      auto model = models::load_model(checkpoint(), {.cpu = cpu});
      const int window = nn::largest_window(model->traits().layers),
                num_pages = 640 / how.page_size;
      EXPECT_GT(window, 0);
      RunnerOptions runner{how.page_size, num_pages, {}, kv_of(how.how), cpu};
      Loop::Options loop;
      loop.window = {window, how.page_size, 20};
      if (sequences > 0)
        runner.num_window_pages = loop.num_window_pages =
            std::min(num_pages, sequences * loop.window.of_sequence() + loop.window.of_steps());
      if (disk) runner.disk = loop.disk = disk_of({.how = how.how, .cache_dir = disk_.path()});
      loop.num_pages = num_pages;
      loop.page_size = how.page_size;
      loop.prefix_cache = prefix_cache;
      loop.overlap = how.overlap;
      loop.scheduler.max_batch_tokens = 20;
      return std::pair{std::make_unique<Runner>(std::move(model), runner), loop};
    });
  }

  // With the window asked for, in a folder of its own.
  std::filesystem::path checkpoint() const {
    const auto golden =
        std::filesystem::path(PIPPIN_SOURCE_DIR) / "tests/golden" / GetParam().checkpoint;
    if (GetParam().window == 0) return golden;
    for (const auto& file : std::filesystem::directory_iterator(golden))
      std::filesystem::copy(file.path(), changed_.path() / file.path().filename(),
                            std::filesystem::copy_options::skip_existing);
    auto config = text_of(golden / "config.json");
    config.insert(config.find('{') + 1,
                  "\"sliding_window\": " + std::to_string(GetParam().window) + ",");
    const auto said = config.rfind("\"sliding_window\": null,");
    if (said != std::string::npos) config.erase(said, 23);
    std::ofstream(changed_.path() / "config.json") << config;
    return changed_.path();
  }

  // Turns that go on from others, part from them in their middle, or share nothing.
  static std::vector<std::shared_ptr<Sequence>> prompts() {
    std::vector<std::shared_ptr<Sequence>> prompts;
    for (unsigned i = 0; i < 6; ++i) {
      auto sequence = make_sequence(100, i / 3);
      sequence->tokens.resize(100 - 30 * (i % 3));
      const auto rest = make_sequence(3 + static_cast<int>(5 * i), 50 + i);
      sequence->tokens.insert(sequence->tokens.end(), rest->tokens.begin(), rest->tokens.end());
      close_prompt(*sequence);
      prompts.push_back(std::move(sequence));
    }
    return prompts;
  }

  static std::vector<std::vector<std::int32_t>> answers(Loop& loop) {
    const auto asked = prompts();
    for (const auto& each : asked) loop.submit(each);
    std::vector<std::vector<std::int32_t>> answers;
    for (const auto& each : asked) answers.push_back(read_all(*each));
    return answers;
  }

  const Folder disk_, changed_;
};

TEST_P(Windows, GiveTheAnswersOfLayersThatKeepAllTokens) {
  const auto expected = answers(*loop_of(0, false));
  {
    const auto tight = loop_of(1, true, true);
    EXPECT_EQ(answers(*tight), expected) << "new";
    EXPECT_EQ(answers(*tight), expected) << "cached";
    tight->clear_caches().get();
    EXPECT_EQ(answers(*tight), expected) << "cleared";
    const auto stats = idle_stats(*tight);
    EXPECT_EQ(stats.window_pages_free + stats.window_pages_cached, stats.window_pages);
  }
  for (const int sequences : {3, 1}) {
    const auto again = loop_of(sequences, true, true);
    EXPECT_EQ(answers(*again), expected) << "from disk, with windows for " << sequences;
    EXPECT_GT(again->stats().disk.hits, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Windows,
                         ::testing::Values(Case{"gemma3_text-bf16", How::mlx, 8, true},
                                           Case{"gemma3_text-bf16", How::cpu_kv8, 24},
                                           Case{"gpt_oss-bf16", How::cpu_float32, 8},
                                           Case{"cohere2-bf16", How::mlx_kv8, 4, true},
                                           Case{"muse_glimmer-bf16", How::cpu_float32, 4},
                                           Case{"gemma4_text-bf16", How::cpu_float32, 4, true},
                                           Case{"gemma4-mlx-4bit", How::mlx_kv8, 24},
                                           Case{"mistral-mlx-4bit", How::cpu_float32, 8, false, 20},
                                           Case{"mistral-mlx-4bit", How::mlx, 32, true, 7}),
                         [](const auto& info) {
                           std::string name = std::string(info.param.checkpoint) + "_" +
                                              name_of({info.param.how, 0}) + "_" +
                                              std::to_string(info.param.page_size);
                           for (char& c : name)
                             c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

}  // namespace
}  // namespace pippin::engine
