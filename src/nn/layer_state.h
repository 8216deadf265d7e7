// What each layer of a model keeps of the tokens before: declared by the model, built by ModelState.
#pragma once

#include <mlx/mlx.h>

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace pippin::nn {

namespace mx = mlx::core;

/// How keys and values are kept.
struct KvStorage {
  mx::Dtype dtype = mx::float32;
  int bits = 0;  ///< 8 or 4: as codes of that size with scales (kernels/kv_codes.h); 0: as numbers
  bool preallocated = false;  ///< all of the pools is written at the start, in host memory too
};

/// Bytes of one token's key or value of one head.
int kv_row_bytes(const KvStorage& storage, int head_dim);

/// A key and a value of every token, in pages. Multi-head latent attention keeps one head: the latent and the rotary key are the key, the
/// latent the value.
struct PagedKv {
  int num_heads = 0;  ///< Hkv
  int key_dim = 0, value_dim = 0;
  int window = 0;  ///< a row sees that many tokens, itself included; 0: all before it
  bool values_in_keys =
      false;  ///< a value is its key's first value_dim numbers: keys alone are stored
};

/// Reads the pages of an earlier layer and adds none.
struct SharedKv {
  int layer = 0;  ///< one with PagedKv
};

/// One tensor of a recurrent layer's state. Zeros before the first token.
struct StateTensor {
  std::string name;
  mx::Shape shape;  ///< of one sequence
  mx::Dtype dtype = mx::float32;
};

/// A state of fixed size for each sequence, which every token changes.
struct RecurrentState {
  std::vector<StateTensor> tensors;
};

struct NoState {};

using LayerState = std::variant<NoState, PagedKv, SharedKv, RecurrentState>;

/// Bytes of one page over all layers.
std::int64_t page_bytes(std::span<const LayerState> layers, const KvStorage& storage,
                        int page_size);

/// The same over the layers with a window alone.
std::int64_t window_page_bytes(std::span<const LayerState> layers, const KvStorage& storage,
                               int page_size);

/// The largest window of any layer; 0 without one.
int largest_window(std::span<const LayerState> layers);

/// Bytes of one sequence's recurrent state over all layers; 0 without recurrent layers.
std::int64_t slot_bytes(std::span<const LayerState> layers);

/// Bytes of one token in a layer's pages.
std::int64_t kv_token_bytes(const PagedKv& layer, const KvStorage& storage);

/// The dimensions of what is stored for each head of a layer: of keys, and of values but where they are in keys.
std::vector<int> stored_dims(const PagedKv& layer);

/// The layers that keep keys and values, in order.
std::vector<PagedKv> paged_layers(std::span<const LayerState> layers);

}  // namespace pippin::nn
