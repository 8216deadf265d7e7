// Quantized products on the GPU, by rows of x: MLX's own and what quantized_linear chooses. Each
// product has a matrix of its own, so that none is read from a cache. Times are of one product among many in a graph.
#include <mlx/mlx.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <vector>

#include "kernels/ops.h"

namespace {

using namespace pippin::kernels;
using Product = std::function<mx::array(const mx::array&, const QuantizedWeight&)>;

struct Shape {
  const char* name;
  int outputs, columns;
};

mx::array by_mlx(const mx::array& x, const QuantizedWeight& w) {
  return mx::quantized_matmul(x, w.weight, w.scales, w.biases, true, w.group_size, w.bits);
}

std::vector<QuantizedWeight> random_weights(const Shape& shape, int count) {
  std::vector<QuantizedWeight> weights;
  for (int i = 0; i < count; ++i) {
    auto dense = mx::random::normal({shape.outputs, shape.columns}, mx::bfloat16,
                                    mx::random::key(static_cast<std::uint64_t>(i)));
    auto parts = mx::quantize(dense, 64, 4);
    mx::eval(parts);
    weights.push_back({parts[0], parts[1], parts[2], 64, 4});
  }
  return weights;
}

// Microseconds of one product; the least of some rounds.
double measure(const Product& product, const mx::array& x,
               const std::vector<QuantizedWeight>& weights) {
  double least = 1e9;
  for (int round = 0; round < 6; ++round) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<mx::array> outputs;
    for (const auto& w : weights) outputs.push_back(product(x, w));
    mx::eval(outputs);
    const std::chrono::duration<double, std::micro> elapsed =
        std::chrono::steady_clock::now() - start;
    least = std::min(least, elapsed.count() / static_cast<double>(weights.size()));
  }
  return least;
}

}  // namespace

int main() {
  if (!mx::is_available(mx::Device::gpu)) {
    std::puts("this MLX has no GPU to run on");
    return 1;
  }
  mx::set_default_device(mx::Device::gpu);
  const Shape shapes[] = {{"0.6B gate", 3072, 1024},
                          {"0.6B down", 1024, 3072},
                          {"8B q", 4096, 4096},
                          {"8B gate", 12288, 4096},
                          {"8B down", 4096, 12288}};
  std::puts("microseconds a product (4 bits, groups of 64, bfloat16): MLX's, quantized_linear");
  for (const Shape& shape : shapes) {
    const auto weights = random_weights(shape, 40);
    for (const int rows : {1, 4, 8, 16, 32, 64, 128}) {
      const auto x = mx::random::normal({rows, shape.columns}, mx::bfloat16);
      mx::eval(x);
      std::printf("%-10s %4d rows  %8.1f %8.1f\n", shape.name, rows, measure(by_mlx, x, weights),
                  measure(quantized_linear, x, weights));
      std::fflush(stdout);
    }
  }
}
