#include "kernels/cpu/linear.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/pause.h"
#include "kernels/cpu/types.h"

namespace pippin::cpu {
namespace {

int format_bytes(Format format) { return format == Format::f32 ? 4 : 2; }

template <class T>
T read_at(const std::uint8_t* p, std::size_t i) {
  T value;
  std::memcpy(&value, p + sizeof(T) * i, sizeof(T));
  return value;
}

float read_number(const std::uint8_t* p, Format format, std::size_t i) {
  switch (format) {
    case Format::f32:
      return read_at<float>(p, i);
    case Format::bf16:
      return widen(read_at<Bf16>(p, i));
    case Format::f16:
      return widen(read_at<F16>(p, i));
  }
  return 0;
}

// Eight values of a little-endian bit stream, from `bits` bytes.
void read_eight(const std::uint8_t* bytes, int bits, std::uint8_t* out) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, static_cast<std::size_t>(bits));
  for (int i = 0; i < 8; ++i)
    out[i] = static_cast<std::uint8_t>((word >> (i * bits)) & ((1u << bits) - 1u));
}

// Writes row r's scale and bias of one group into its block's header.
void pack_affine(const QuantizedSource& s, std::size_t at, int r, std::uint8_t* header) {
  const auto size = static_cast<std::size_t>(format_bytes(s.scale_format));
  const auto* scale = static_cast<const std::uint8_t*>(s.scales) + at * size;
  const auto* bias = static_cast<const std::uint8_t*>(s.biases) + at * size;
  const bool pairs = size == 2;
  std::memcpy(header + 4 * r, scale, size);
  std::memcpy(pairs ? header + 4 * r + 2 : header + 64 + 4 * r, bias, size);
}

// Lays one row's group of values (one byte each) into the lines of its block.
void pack_values(const std::uint8_t* values, int group, int bits, int r, std::uint8_t* lines) {
  const int half = group / 2;
  for (int k = 0; k < (bits == 4 ? half : group); k += 4)
    for (int j = 0; j < 4; ++j)
      lines[16 * k + 4 * r + j] = static_cast<std::uint8_t>(
          bits == 4 ? values[k + j] | (values[half + k + j] << 4) : values[k + j]);
}

void pack_panel(const QuantizedSource& s, const QuantizedPanels& p, int panel, std::uint8_t* out) {
  const int groups = s.k / s.group;
  const auto row_bytes = static_cast<std::size_t>(s.k) * static_cast<std::size_t>(s.bits) / 8;
  std::uint8_t values[128];
  for (int r = 0; r < panel_rows; ++r) {
    const int row = panel * panel_rows + r;
    if (row >= s.n) break;  // the buffer is zero: padding rows multiply to zero
    const auto* stream =
        static_cast<const std::uint8_t*>(s.weight) + static_cast<std::size_t>(row) * row_bytes;
    std::uint8_t* block = out + p.scales_bytes();
    for (int g = 0; g < groups; ++g, block += p.block_bytes()) {
      for (int k = 0; k < s.group; k += 8, stream += s.bits) read_eight(stream, s.bits, values + k);
      const auto at = static_cast<std::size_t>(row) * static_cast<std::size_t>(groups) +
                      static_cast<std::size_t>(g);
      if (s.scheme == Scheme::affine)
        pack_affine(s, at, r, block);
      else
        out[16 * g + r] = static_cast<const std::uint8_t*>(s.scales)[at];
      pack_values(values, s.group, p.bits, r, block + p.header_bytes());
    }
  }
}

void pack_panel(const DenseSource& s, const DensePanels& p, int panel, std::uint8_t* out) {
  const auto size = static_cast<std::size_t>(format_bytes(s.format));
  for (int r = 0; r < panel_rows && panel * panel_rows + r < s.n; ++r) {
    const auto row = static_cast<std::size_t>(panel * panel_rows + r);
    const auto* from =
        static_cast<const std::uint8_t*>(s.weight) + row * static_cast<std::size_t>(s.k) * size;
    for (int k = 0; k < s.k; ++k)
      std::memcpy(out + p.at(r, k) * size, from + static_cast<std::size_t>(k) * size, size);
  }
}

QuantizedPanels layout_of(const QuantizedSource& s) {
  return {nullptr, s.n, s.k, s.group, s.bits <= 4 ? 4 : 8, s.scale_format, s.scheme, s.factor};
}

// New memory takes most of the time: some milliseconds for so much, after which others may have the thread.
constexpr std::size_t bytes_at_once = std::size_t{4} << 20;

template <class Panels, class Pack>
Slice pack_all(Team& team, Arena& arena, const Panels& panels, const Pack& pack) {
  const auto memory =
      arena.allocate(static_cast<std::size_t>(panels.num_panels()) * panels.panel_bytes());
  const std::int64_t all = panels.num_panels();
  const std::int64_t part = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(bytes_at_once / std::max<std::size_t>(1, panels.panel_bytes())));
  for (std::int64_t first = 0; first < all; first += part) {
    team.parallel_for(std::min(part, all - first), 8,
                      [&](std::int64_t begin, std::int64_t end, int) {
                        for (auto i = first + begin; i < first + end; ++i)
                          pack(static_cast<int>(i),
                               memory.data + static_cast<std::size_t>(i) * panels.panel_bytes());
                      });
    pause_point();
  }
  return memory;
}

// The scale and bias of a panel's row r in block g.
std::pair<float, float> scale_of(const QuantizedPanels& w, const std::uint8_t* panel, int g,
                                 int r) {
  const auto at = static_cast<std::size_t>(r);
  if (w.scheme != Scheme::affine) {
    const auto byte = panel[16 * g + r];
    return {w.factor * (w.scheme == Scheme::nvfp4 ? widen_e4m3(byte) : widen_e8m0(byte)), 0.0f};
  }
  const auto* header = panel + g * w.block_bytes();
  const bool pairs = w.scale_format != Format::f32;
  return {read_number(header, w.scale_format, pairs ? 2 * at : at),
          read_number(header, w.scale_format, pairs ? 2 * at + 1 : 16 + at)};
}

float number_of(Scheme scheme, int code) {
  if (scheme == Scheme::affine) return static_cast<float>(code);
  if (scheme == Scheme::mxfp8) return widen_e4m3(static_cast<std::uint8_t>(code));
  return 0.5f * static_cast<float>(fp4_doubles[code]);
}

void quantized_row(const QuantizedPanels& w, int row, float* out) {
  const int r = row % panel_rows, half = w.group / 2;
  const auto* panel = w.data + static_cast<std::size_t>(row / panel_rows) * w.panel_bytes();
  for (int g = 0; g < w.k / w.group; ++g, out += w.group) {
    const auto [scale, bias] = scale_of(w, panel, g, r);
    const auto* lines = panel + w.scales_bytes() + g * w.block_bytes() + w.header_bytes() + 4 * r;
    for (int k = 0; k < w.group; ++k) {
      const int in_line = w.bits == 4 && k >= half ? k - half : k;
      const int byte = lines[in_line / 4 * 64 + in_line % 4];
      const int q = w.bits == 8 ? byte : k >= half ? byte >> 4 : byte & 15;
      out[k] = scale * number_of(w.scheme, q) + bias;
    }
  }
}

void dense_row(const DensePanels& w, int row, float* out) {
  const auto* panel = w.data + static_cast<std::size_t>(row / panel_rows) * w.panel_bytes();
  for (int k = 0; k < w.k; ++k) out[k] = read_number(panel, w.format, w.at(row % panel_rows, k));
}

// ---- products

// Activations of a block of rows should stay in a core's second-level cache while all panels pass.
constexpr std::int64_t block_bytes_wanted = 256 << 10;

// Work is handed out in pieces as threads get free: some microseconds each, so that the last ones end
// together (a decode step has a hundred products of some 50 microseconds), but no smaller.
constexpr std::size_t piece_bytes = 64 << 10;  // of weights

int rows_per_block(int rows, int tile, std::int64_t row_bytes) {
  const auto wanted = std::max<std::int64_t>(1, block_bytes_wanted / row_bytes / tile) * tile;
  const auto blocks = (rows + wanted - 1) / wanted;  // equal ones, whole tiles
  const auto each = (rows + blocks - 1) / blocks;
  return static_cast<int>((each + tile - 1) / tile * tile);
}

// Tiles of equal size, as large as the kernels take them: 8 rows are done as 4 + 4, not 6 + 2.
int tile_for(int rows, int largest) {
  const int tiles = (rows + largest - 1) / largest;
  return (rows + tiles - 1) / tiles;
}

Output shifted(const Output& output, int row, int column) {
  Output result = output;
  result.out += row * output.stride + column;
  if (output.bias) result.bias += column;
  if (output.times_bias) result.times_bias += column;
  if (output.factor) result.factor += row * output.factor_stride + column;
  if (output.residual) result.residual += row * output.residual_stride + column;
  return result;
}

QuantizedRows from_row(const QuantizedRows& x, std::int64_t row, int k, int group) {
  return {x.q + row * k, x.scales + row * (k / group), x.sums + row * (k / group), x.tile};
}

// One matrix of the operation (or a gated pair), and how its work is cut: blocks of rows times runs of
// panels.
struct Product {
  const PackedMatrix* w;
  const PackedMatrix* times;
  int row, rows;         ///< of x
  Output output;         ///< of the first row and the matrix's first column
  QuantizedRows x = {};  ///< where activations are quantized
  int block = 0;         ///< rows
  int panels_each = 0;   ///< of a piece
  int pieces_per_block = 0;
  int pieces = 0;
};

// Rows that are quantized together.
struct Tile {
  int row, rows;
};

class Operation {
 public:
  Operation(Team& team, const Kernels& kernels, Scratch& scratch, const LinearArgs& args,
            std::vector<Product> products)
      : team_(team), kernels_(kernels), args_(args), products_(std::move(products)) {
    for (auto& product : products_) cut(product);
    prepare(scratch);
  }

  void run() const {
    std::int64_t pieces = 0;
    for (const auto& product : products_) pieces += product.pieces;
    team_.parallel_for_guided(pieces, 1, [&](std::int64_t begin, std::int64_t end, int thread) {
      auto* memory = thread_memory_ + static_cast<std::size_t>(thread) * thread_bytes_;
      while (begin < end) begin += run_pieces(begin, end, memory);
    });
  }

 private:
  bool quantizes(const Product& product) const {
    return product.w->quantized() && product.w->quantized()->has_integers() && !args_.exact;
  }
  bool rounds(const Product& product) const {
    return kernels_.bf16.dense && !args_.exact && product.w->dense() &&
           product.w->dense()->format == Format::bf16;
  }

  // Scratch holds the threads' own memory, then activations: in bf16, and in 8 bits once for each
  // size of group among the matrices.
  void prepare(Scratch& scratch) {
    const int k = products_.front().w->k();
    const auto rows = static_cast<std::size_t>(args_.rows);
    std::size_t rounded = 0;
    std::vector<int> groups;
    for (const auto& product : products_) {
      thread_bytes_ = std::max(thread_bytes_, thread_bytes(product));
      if (rounds(product)) rounded = rows * static_cast<std::size_t>(bf16_stride(k)) * sizeof(Bf16);
      if (quantizes(product) && !std::count(groups.begin(), groups.end(), group_of(product)))
        groups.push_back(group_of(product));
    }
    std::size_t total = thread_bytes_ * static_cast<std::size_t>(team_.size()) + rounded;
    for (const int group : groups) total += quantized_bytes(k, group);
    thread_memory_ = scratch.grow_to(total);
    auto* memory = thread_memory_ + thread_bytes_ * static_cast<std::size_t>(team_.size());
    if (rounded > 0) round({reinterpret_cast<Bf16*>(memory), bf16_stride(k)}, k);
    memory += rounded;
    for (const int group : groups) {
      quantize(memory, k, group);
      memory += quantized_bytes(k, group);
    }
  }

  // Where many rows pass, unpacked weights; sums that go on with the next block of k.
  std::size_t thread_bytes(const Product& product) const {
    const int unpack_rows = kernels_.linear.unpack_rows;
    if (rounds(product))
      return static_cast<std::size_t>(product.block * kernels_.bf16.tile_panels * panel_rows) *
             sizeof(float);
    if (!quantizes(product) || unpack_rows == 0 || product.rows < unpack_rows) return 0;
    const auto bytes = unpacked_bytes(product.w->k(), product.w->quantized()->bits);
    return (product.times ? 2 : 1) * bytes;
  }

  std::size_t quantized_bytes(int k, int group) const {  // 64-byte aligned
    const auto values = static_cast<std::size_t>(args_.rows) * static_cast<std::size_t>(k);
    return (values + 8 * (values / static_cast<std::size_t>(group)) + 127) / 64 * 64;
  }

  static int group_of(const Product& product) { return product.w->quantized()->group; }

  void round(const Bf16Rows& x, int k) {
    rounded_ = x;
    team_.parallel_for(args_.rows, 8, [&](std::int64_t begin, std::int64_t end, int) {
      kernels_.bf16.round(args_.x + begin * args_.x_stride, args_.x_stride,
                          static_cast<int>(end - begin), k, {x.x + begin * x.stride, x.stride});
    });
  }

  void quantize(std::uint8_t* memory, int k, int group) {
    const auto values = static_cast<std::size_t>(args_.rows) * static_cast<std::size_t>(k);
    auto* scales = reinterpret_cast<float*>(memory + (values + 63) / 64 * 64);
    const QuantizedRows all = {reinterpret_cast<std::int8_t*>(memory), scales,
                               scales + values / static_cast<std::size_t>(group), 0};
    std::vector<Tile> tiles;
    int next = 0;  // row; products side by side share their rows
    for (auto& product : products_) {
      if (!quantizes(product) || group_of(product) != group) continue;
      const int tile = tile_for(product.rows, kernels_.linear.tile_rows);
      product.x = from_row(all, product.row, k, group);
      product.x.tile = tile;
      const int end = product.row + product.rows;
      for (int row = std::max(next, product.row); row < end; row += tile)
        tiles.push_back({row, std::min(tile, end - row)});
      next = std::max(next, end);
    }
    // Waking the team costs more than a tile or two.
    team_.parallel_for(static_cast<std::int64_t>(tiles.size()), 2,
                       [&](std::int64_t begin, std::int64_t end, int) {
                         for (auto i = begin; i < end; ++i) {
                           const auto& [row, rows] = tiles[static_cast<std::size_t>(i)];
                           kernels_.linear.quantize(args_.x + row * args_.x_stride, args_.x_stride,
                                                    rows, k, group, from_row(all, row, k, group));
                         }
                       });
  }

  // Rows at once.
  int block_of(const Product& product) const {
    const std::int64_t k = product.w->k();
    const int rows = product.rows;
    if (rounds(product)) return rows_per_block(rows, kernels_.bf16.tile_rows, k * 2);
    if (quantizes(product))
      return rows_per_block(rows, tile_for(rows, kernels_.linear.tile_rows), k);
    return rows_per_block(rows, kernels_.linear.dense_tile_rows, k * 4);
  }

  void cut(Product& product) const {
    const auto& w = *product.w;
    product.block = block_of(product);
    const int panels = w.num_panels(), blocks = (product.rows + product.block - 1) / product.block;
    const auto panel_bytes = w.bytes() / static_cast<std::size_t>(panels) * (product.times ? 2 : 1);
    const auto bytes = piece_bytes / static_cast<std::size_t>((product.block + 15) / 16);
    // As many as some kernels take at once, or a multiple.
    const int at_once = rounds(product) ? kernels_.bf16.tile_panels : 2;
    const auto wanted = bytes / panel_bytes / static_cast<std::size_t>(at_once);
    product.panels_each = std::max(1, static_cast<int>(wanted)) * at_once;
    product.pieces_per_block = (panels + product.panels_each - 1) / product.panels_each;
    product.pieces = product.pieces_per_block * blocks;
  }

  // Runs the pieces from `begin` that lie side by side in one block of rows, at most up to `end`: the
  // kernels fetch the next panel while one is multiplied. Returns how many.
  std::int64_t run_pieces(std::int64_t begin, std::int64_t end, std::uint8_t* memory) const {
    auto at = products_.begin();
    for (; begin >= at->pieces; ++at) begin -= at->pieces, end -= at->pieces;
    const std::int64_t column = begin % at->pieces_per_block;
    const auto count = std::min(end - begin, at->pieces_per_block - column);
    const int first = static_cast<int>(column) * at->panels_each;
    const int last = static_cast<int>(column + count) * at->panels_each;
    run_panels(*at, static_cast<int>(begin / at->pieces_per_block) * at->block, first,
               std::min(last, at->w->num_panels()), memory);
    return count;
  }

  // Panels [first, last) for the block of rows that begins at the product's `row`.
  void run_panels(const Product& product, int row, int first, int last,
                  std::uint8_t* memory) const {
    const auto *w = product.w, *times = product.times;
    const int rows = std::min(product.block, product.rows - row);
    const auto out = shifted(product.output, row, 0);
    const auto in = product.row + row;
    const float* from = args_.x + in * args_.x_stride;
    if (rounds(product))
      kernels_.bf16.dense(*w->dense(), times ? times->dense() : nullptr,
                          {rounded_.x + in * rounded_.stride, rounded_.stride}, rows, first, last,
                          out, reinterpret_cast<float*>(memory));
    else if (!w->quantized())
      kernels_.linear.dense(*w->dense(), times ? times->dense() : nullptr, from, args_.x_stride,
                            rows, first, last, out);
    else if (!quantizes(product))
      kernels_.linear.quantized_exact(*w->quantized(), times ? times->quantized() : nullptr, from,
                                      args_.x_stride, rows, first, last, out);
    else
      kernels_.linear.quantized(*w->quantized(), times ? times->quantized() : nullptr,
                                from_row(product.x, row, w->k(), group_of(product)), rows, first,
                                last, out, memory);
  }

  Team& team_;
  const Kernels& kernels_;
  const LinearArgs& args_;
  std::vector<Product> products_;
  std::uint8_t* thread_memory_ = nullptr;
  std::size_t thread_bytes_ = 0;  ///< each thread's part of it
  Bf16Rows rounded_ = {};         ///< where activations are rounded
};

// The parts side by side, or the gated pair, for all rows.
std::vector<Product> products_of(const LinearArgs& args) {
  if (args.gated) return {{args.parts[0], args.parts[1], 0, args.rows, args.output}};
  std::vector<Product> products;
  int column = 0;
  for (const auto* part : args.parts) {
    products.push_back({part, nullptr, 0, args.rows, shifted(args.output, 0, column)});
    column += part->n();
  }
  return products;
}

Product product_of(const RowsOfMatrix& run, const Output& output) {
  Product product{run.w, run.times, run.row, run.rows, shifted(output, run.row, 0)};
  product.output.bias = run.bias;
  product.output.times_bias = run.times_bias;
  return product;
}

}  // namespace

PackedMatrix::PackedMatrix(Team& team, Arena& arena, const QuantizedSource& source)
    : n_(source.n), k_(source.k) {
  auto panels = layout_of(source);
  memory_ = pack_all(team, arena, panels,
                     [&](int i, std::uint8_t* out) { pack_panel(source, panels, i, out); });
  panels.data = memory_.data;
  panels_ = panels;
}

PackedMatrix::PackedMatrix(Team& team, Arena& arena, const DenseSource& source)
    : n_(source.n), k_(source.k) {
  DensePanels panels{nullptr, source.n, source.k, source.format};
  memory_ = pack_all(team, arena, panels,
                     [&](int i, std::uint8_t* out) { pack_panel(source, panels, i, out); });
  panels.data = memory_.data;
  panels_ = panels;
}

bool PackedMatrix::same_layout(const PackedMatrix& other) const {
  if (n_ != other.n_ || k_ != other.k_ || panels_.index() != other.panels_.index()) return false;
  if (const auto *q = quantized(), *r = other.quantized(); q)
    return q->group == r->group && q->bits == r->bits && q->scale_format == r->scale_format &&
           q->scheme == r->scheme;
  return dense()->format == other.dense()->format;
}

void PackedMatrix::row(int row, float* out) const {
  if (const auto* q = quantized())
    quantized_row(*q, row, out);
  else
    dense_row(*dense(), row, out);
}

void linear(Team& team, const Kernels& kernels, Scratch& scratch, const LinearArgs& args) {
  Operation(team, kernels, scratch, args, products_of(args)).run();
}

void linear_by_runs(Team& team, const Kernels& kernels, Scratch& scratch, const LinearArgs& args,
                    std::span<const RowsOfMatrix> runs) {
  std::vector<Product> products;
  for (const auto& run : runs) products.push_back(product_of(run, args.output));
  Operation(team, kernels, scratch, args, std::move(products)).run();
}

}  // namespace pippin::cpu
