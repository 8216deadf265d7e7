// How fast this machine's cores read memory together: what decoding one sequence is bound by.
//
//   read_bandwidth [THREADS] [MIB]      prints one JSON object; rates in 1e9 bytes a second
#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <numeric>
#include <thread>
#include <vector>

namespace {

constexpr int rounds = 10;

// Eight sums at once, so that a load never waits for an addition.
std::uint64_t sum(const std::uint64_t* data, std::size_t count) {
  std::uint64_t lanes[8] = {};
  for (std::size_t i = 0; i + 8 <= count; i += 8)
    for (std::size_t j = 0; j < 8; ++j) lanes[j] += data[i + j];
  return std::accumulate(std::begin(lanes), std::end(lanes), std::uint64_t{0});
}

// Seconds of each round in which every thread reads its own `words`, from the common start to the last one's end.
std::vector<double> measure(int threads, std::size_t words) {
  std::vector<double> seconds;
  std::chrono::steady_clock::time_point start;
  std::vector<std::uint64_t> sums(threads);
  bool started = false;
  const auto turn = [&]() noexcept {
    const auto now = std::chrono::steady_clock::now();
    if (started) seconds.push_back(std::chrono::duration<double>(now - start).count());
    started = true;
    start = now;
  };
  std::barrier barrier(threads, turn);
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t)
    workers.emplace_back([&, t] {
      const std::vector<std::uint64_t> data(words, t + 1);  // touched by the thread that reads it
      for (int round = 0; round <= rounds; ++round) {
        barrier.arrive_and_wait();
        if (round < rounds) sums[t] += sum(data.data(), words);
      }
    });
  for (auto& worker : workers) worker.join();
  for (int t = 0; t < threads; ++t)  // uses the sums, so that no compiler drops the reading
    if (sums[t] != std::uint64_t{rounds} * (t + 1) * words) std::abort();
  std::sort(seconds.begin(), seconds.end());
  return seconds;
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = std::max(
      1, argc > 1 ? std::atoi(argv[1]) : static_cast<int>(std::thread::hardware_concurrency()));
  const std::size_t mib = std::max(1, argc > 2 ? std::atoi(argv[2]) : 1024);
  const std::size_t words = (mib << 20) / sizeof(std::uint64_t) / threads / 8 * 8;
  const std::vector<double> seconds = measure(threads, words);
  const double gigabytes = 1e-9 * sizeof(std::uint64_t) * static_cast<double>(words) * threads;
  std::cout << "{\"threads\": " << threads << ", \"best_gb_per_s\": " << gigabytes / seconds.front()
            << ", \"median_gb_per_s\": " << gigabytes / seconds[seconds.size() / 2] << "}\n";
}
