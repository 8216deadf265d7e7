// What the engine knows of a model: a step's input, logits back, and pictures encoded.
// T = rows (tokens of the step), R = rows whose logits are wanted, V = vocabulary, D = hidden size,
// N = merged picture rows.
#pragma once

#include <mlx/mlx.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/ops.h"
#include "kernels/states.h"
#include "media/patches.h"
#include "models/positions.h"
#include "nn/model_state.h"

namespace pippin::models {

namespace mx = mlx::core;

/// Around and in each temporal patch of a video.
struct VideoTokens {
  std::int32_t start = -1, end = -1;
  std::int32_t pad = -1;  ///< the placeholder
};

/// What the engine must know before it can lay out a step.
struct ModelTraits {
  std::string model_type;
  int vocab_size = 0;
  std::vector<nn::LayerState> layers;    ///< what each keeps of the tokens before
  std::int64_t max_context = 0;          ///< max_position_embeddings
  std::vector<std::int32_t> end_tokens;  ///< generation_config's (else config's) eos_token_id
  std::optional<std::int32_t>
      image_token;  ///< the placeholder that pictures replace; absent: no pictures
  std::optional<VideoTokens> video_tokens;   ///< absent: no videos
  int position_axes = 1;                     ///< of StepInput::positions
  PositionsFn* positions = count_positions;  ///< of a prompt
  int merge_size = 1;                        ///< patches a side that become one row of a picture
};

/// What the vision tower makes of a picture; added to the text's hidden states at the picture's
/// rows.
struct MediaFeatures {
  mx::array embeddings;  ///< [N, D]
  std::vector<mx::array>
      deepstack;  ///< [N, D] for each of the first text layers (DeepStack); may be empty

  std::size_t num_bytes() const {
    std::size_t bytes = embeddings.nbytes();
    for (const auto& x : deepstack) bytes += x.nbytes();
    return bytes;
  }
};

/// Picture rows of a step: features rows[i] replace (and deepstack is added to) the step's row
/// rows[i].
struct MediaRows {
  mx::array rows;  ///< int32 [N]
  MediaFeatures features;
};

/// One ragged batch: prefill chunks and decode rows are the same thing.
struct StepInput {
  mx::array tokens;     ///< int32 [T]
  mx::array positions;  ///< int32 [A, T], A = position_axes; M-RoPE: time, height, width
  bool text_positions;  ///< the rows of `positions` are equal
  std::optional<mx::array> logit_rows;  ///< int32 [R]; absent: all rows
  kernels::PagedLayout layout;
  std::vector<MediaRows> media;
  /// Cover the rows in order, where the model has recurrent layers.
  std::vector<kernels::StateRows> states = {};
  /// Of the layers whose pages are ModelState::window_pages(); absent where no layer's are.
  std::optional<kernels::PagedLayout> window_layout = {};
};

/// Pictures on their way through a vision tower, in parts between which other work can be done.
class Encoding {
 public:
  virtual ~Encoding() = default;
  /// Computes the next part (a block of the tower), and waits for it; false once all are done.
  virtual bool advance() = 0;
  /// The pictures' features, in order, evaluated. Called once, when all is done.
  virtual std::vector<MediaFeatures> take() = 0;
};

/// A loaded model. Created, used and destroyed on the engine's thread.
class Model {
 public:
  virtual ~Model() = default;

  virtual const ModelTraits& traits() const = 0;
  virtual std::int64_t num_parameters() const = 0;
  virtual std::int64_t weight_bytes() const = 0;

  /// Logits float32 [R, V] of the wanted rows; writes the rows' keys and values, and the sequences' recurrent states.
  virtual mx::array forward(const StepInput& input, nn::ModelState& state) const = 0;

  /// Begins to encode pictures together; neither they nor the model may go before the encoding. Throws
  /// Error(invalid_argument) for a model without a vision tower.
  virtual std::unique_ptr<Encoding> start_encoding(
      std::span<const media::Patches* const> pictures) const;

  /// Encodes one picture at once.
  MediaFeatures encode(const media::Patches& patches) const;
};

}  // namespace pippin::models
