// Steps of decode rows alone, written down once for each number of rows and then run again and again (kernels/gpu/plan.h).
#pragma once

#include <mlx/mlx.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "engine/run/sampler.h"
#include "engine/schedule/batch.h"
#include "kernels/gpu/plan.h"
#include "kernels/gpu/sampling.h"
#include "models/model.h"
#include "nn/model_state.h"

namespace pippin::engine {

namespace mx = mlx::core;

/// The tokens that a replayed step chose, which may not be computed yet.
struct ReplayedTokens {
  int request;    ///< see Replays::read
  mx::array ids;  ///< int32 [R], the same on the device; changes with the next step
};

/// A replayed step's results, which may not be computed yet.
struct Replayed {
  mx::array logits;                      ///< float32 or as the output layer makes them, [R, V]
  std::optional<ReplayedTokens> chosen;  ///< where the step chose them
};

/// Owned and used by the runner, on the engine's thread.
class Replays {
 public:
  /// Null where the GPU's kernels can't be replayed. Neither may go before the object.
  /// windows: layers with a window have pages of their own.
  static std::unique_ptr<Replays> make(const models::Model& model, int page_size,
                                       bool windows = false);

  /// Whether the batch is decode rows alone, each sampled.
  bool takes(const Batch& batch) const;

  /// Launches the batch. `chooses`: the step takes the largest logits' tokens itself. `sampled`: the tokens that the step before samples. Absent
  /// where an operation of the model is none of our kernels: MLX runs the step then.
  std::optional<Replayed> launch(const Batch& batch, nn::ModelState& state, bool chooses,
                                 const std::optional<mx::array>& sampled);

  /// Launches the choice of a token for each row of the step that was launched last. Absent where MLX's operations must choose.
  std::optional<ReplayedTokens> choose(const std::vector<SampleRow>& rows);

  /// Waits for the tokens.
  std::vector<std::int32_t> read(int request) { return player_->read(request); }

  /// Steps that were launched.
  std::int64_t count() const { return count_; }
  /// Kernels in the step that was written down last.
  std::size_t num_launches() const { return num_launches_; }

 private:
  struct Shape {
    int rows, parts;  ///< parts: of the longest context, rounded up
    bool chooses, text_positions;
    auto operator<=>(const Shape&) const = default;
  };
  /// Where a step's numbers lie in input_.
  struct Sections {
    int known, from, positions, lengths, slots, table, window_slots, window_table, end;
  };
  struct Step {
    std::vector<void*> pools;  ///< where they lay
    std::unique_ptr<kernels::gpu::Playback> playback;
    std::optional<mx::array> logits;
    std::map<kernels::gpu::SamplingKind, std::unique_ptr<kernels::gpu::Playback>> choices = {};
  };
  Replays(const models::Model& model, int page_size, bool windows,
          std::unique_ptr<kernels::gpu::Player> player);
  int table_width(const Shape& shape) const;
  Shape shape_of(const Batch& batch, bool chooses) const;
  Sections sections_of(const Shape& shape) const;
  std::vector<std::int32_t> input_of(const Batch& batch, const Shape& shape) const;
  std::vector<void*> places_of(const nn::ModelState& state) const;
  Step* step_of(const Shape& shape, nn::ModelState& state);
  void forget_steps();
  std::optional<Step> record(const Shape& shape, nn::ModelState& state);
  models::StepInput step_input(kernels::gpu::Executor& recorder, const Shape& shape,
                               const std::vector<mx::array>& views) const;
  std::vector<mx::array> views_of(const Shape& shape) const;
  void make_room_for_edits(std::size_t count);
  kernels::gpu::Playback& choice_of(Step& step, const kernels::gpu::SamplingKind& kind);
  ReplayedTokens ask_for_tokens(int rows);

  const models::Model& model_;
  int page_size_;
  bool windows_;
  std::unique_ptr<kernels::gpu::Player> player_;
  mx::array input_;                        ///< int32: a step's
  mx::array tokens_;                       ///< int32: what the last step chose
  kernels::gpu::SamplingArrays sampling_;  ///< what it chose by
  std::map<Shape, Step> steps_;
  Step* launched_ = nullptr;  ///< the last, one of steps_
  std::set<int> refused_;     ///< numbers of rows whose steps MLX must run
  std::int64_t count_ = 0;
  std::size_t num_launches_ = 0;
};

}  // namespace pippin::engine
