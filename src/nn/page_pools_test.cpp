#include "nn/page_pools.h"

#include <gtest/gtest.h>

#include <memory>
#include <numeric>

#include "base/memory.h"
#include "nn/model_state.h"

namespace pippin::nn {
namespace {

constexpr int num_layers = 2, num_pages = 5, page_size = 4, num_kv_heads = 3, head_dim = 8;

// Keys and values of equal layers.
PagePools make_pools(int layers, int pages, int page, int heads, int dim, const KvStorage& storage,
                     bool host = false) {
  const std::vector<LayerState> all(static_cast<std::size_t>(layers), PagedKv{heads, dim, dim});
  return ModelState(all, {pages, page, 0}, storage, host).pages();
}

class Pages : public ::testing::TestWithParam<std::tuple<bool, int>> {
 protected:
  // Page p is full of bytes that begin with p.
  Pages() {
    for (std::int32_t page = 0; page < num_pages; ++page) cache_.write_page(page, content(page));
  }
  std::vector<std::uint8_t> content(std::int32_t page) const {
    std::vector<std::uint8_t> bytes(cache_.page_bytes());
    std::iota(bytes.begin(), bytes.end(), static_cast<std::uint8_t>(page * 37));
    return bytes;
  }
  std::vector<std::uint8_t> read(std::int32_t page) {
    std::vector<std::uint8_t> bytes(cache_.page_bytes());
    cache_.read_page(page, bytes);
    return bytes;
  }
  PagePools cache_ = make_pools(num_layers, num_pages, page_size, num_kv_heads, head_dim,
                                {mx::float16, std::get<1>(GetParam())}, std::get<0>(GetParam()));
};

TEST_P(Pages, CoverThePools) {
  std::size_t bytes = 0;
  for (const auto& pool : cache_.arrays()) bytes += pool.nbytes();
  EXPECT_EQ(cache_.page_bytes() * num_pages, bytes);
}

TEST_P(Pages, ReadBackAsWritten) {
  for (std::int32_t page = 0; page < num_pages; ++page) EXPECT_EQ(read(page), content(page));
}

// More than are staged at once, some of them twice: the last content counts.
TEST_P(Pages, AreWrittenInOrder) {
  auto cache = make_pools(1, 300, page_size, 64, 128, {mx::float16, std::get<1>(GetParam())},
                          std::get<0>(GetParam()));
  const auto bytes = [&](int seed) {
    return std::vector<std::uint8_t>(cache.page_bytes(), static_cast<std::uint8_t>(seed));
  };
  for (int i = 0; i < 600; ++i) {
    cache.write_page(i * 7 % 300, bytes(0));
    cache.write_page(i * 7 % 300, bytes(i));
  }
  std::vector<std::uint8_t> read(cache.page_bytes());
  for (int i = 300; i < 600; ++i) {
    cache.read_page(i * 7 % 300, read);
    ASSERT_EQ(read, bytes(i)) << i;
  }
}

TEST_P(Pages, AreCopiedAloneAndWhole) {
  cache_.copy_pages(std::vector<PagePools::PageCopy>{{0, 3}, {4, 1}});
  const std::int32_t expected[num_pages] = {0, 4, 2, 0, 4};
  for (std::int32_t page = 0; page < num_pages; ++page)
    EXPECT_EQ(read(page), content(expected[page])) << page;
}

// One page of slots, through the pools as the models see them.
TEST_P(Pages, AreRunsOfSlots) {
  std::vector<std::uint8_t> zeros(cache_.page_bytes());
  cache_.write_page(2, zeros);
  cache_.finish_writes();
  for (const auto& pool : cache_.arrays()) {
    const auto page =
        mx::slice(pool, {2 * page_size, 0, 0}, {3 * page_size, num_kv_heads, pool.shape(2)});
    EXPECT_TRUE(mx::all(mx::equal(page, mx::array(0.0f))).item<bool>());
  }
}

TEST_P(Pages, AreClearedAlone) {
  cache_.clear_pages(std::vector<std::int32_t>{1, 3});
  const std::vector<std::uint8_t> zeros(cache_.page_bytes());
  for (std::int32_t page = 0; page < num_pages; ++page)
    EXPECT_EQ(read(page), page % 2 == 1 ? zeros : content(page)) << page;
}

TEST_P(Pages, ThatAreDroppedLeaveTheOthersAlone) {
  cache_.drop_pages({4, 1, 2});
  EXPECT_EQ(read(0), content(0));
  EXPECT_EQ(read(3), content(3));
  cache_.write_page(1, content(1));
  EXPECT_EQ(read(1), content(1));
}

// Steps are launched one behind the other; what one reads is held until it is done.
TEST(MlxPages, AreWrittenInPlaceWhileTheyAreRead) {
  constexpr int steps = 40, slots = num_pages * page_size;
  auto cache = make_pools(1, num_pages, page_size, num_kv_heads, head_dim, {mx::float32});
  auto& pool = cache[0];
  const auto* memory = pool.buffer().ptr();
  std::vector<std::shared_ptr<const void>> held;
  std::vector<mx::array> read;
  for (int step = 0; step < steps; ++step) {
    held.push_back(pool.data_shared_ptr());
    cache.take_over_pools();
    const auto row = mx::full({1, 1, num_kv_heads, head_dim}, static_cast<float>(step));
    pool = mx::scatter(pool, mx::array({step % slots}), row, 0);
    read.push_back(mx::sum(mx::take(pool, mx::arange(slots), 0)));
    mx::async_eval(pool, read.back());
    ASSERT_EQ(pool.buffer().ptr(), memory) << "step " << step;
  }
  // Each has seen the slots as they were then.
  std::vector<float> content(slots, 0);
  for (int step = 0; step < steps; ++step) {
    content[static_cast<std::size_t>(step % slots)] = static_cast<float>(step);
    const auto sum = std::accumulate(content.begin(), content.end(), 0.0f);
    EXPECT_EQ(read[static_cast<std::size_t>(step)].item<float>(), sum * num_kv_heads * head_dim);
  }
}

TEST(HostPages, TakeNoMemoryOnceTheyAreDropped) {
  constexpr int pages = 64, half = pages / 2;
  auto cache = make_pools(2, pages, 16, 64, 128, {mx::float16}, true);
  const std::vector<std::uint8_t> bytes(cache.page_bytes(), 7);
  for (std::int32_t page = 0; page < pages; ++page) cache.write_page(page, bytes);
  const auto full = resident_bytes();
  std::vector<std::int32_t> dropped(half);
  std::iota(dropped.rbegin(), dropped.rend(), half);
  cache.drop_pages(dropped);
  // A page of the system at each end of each pool may stay.
  const auto least = static_cast<std::int64_t>(half * cache.page_bytes()) - (1 << 20);
  EXPECT_GT(full - resident_bytes(), least);
  std::vector<std::uint8_t> kept(bytes.size());
  cache.read_page(half - 1, kept);
  EXPECT_EQ(kept, bytes);
}

// Against 16-bit numbers, over heads of 128: what makes them worth it.
TEST(KvRowBytes, OfCodesAreAboutAHalfAndAQuarter) {
  EXPECT_EQ(kv_row_bytes({mx::float32}, 128), 512);
  EXPECT_EQ(kv_row_bytes({mx::float16}, 128), 256);
  EXPECT_EQ(kv_row_bytes({mx::float16, 8}, 128), 130);
  EXPECT_EQ(kv_row_bytes({mx::float16, 4}, 128), 66);
}

INSTANTIATE_TEST_SUITE_P(Memory, Pages,
                         ::testing::Combine(::testing::Bool(), ::testing::Values(0, 8, 4)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param) ? "host" : "mlx") +
                                  std::to_string(std::get<1>(info.param));
                         });

}  // namespace
}  // namespace pippin::nn
