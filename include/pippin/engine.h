// The engine: a model directory opened for serving. Start here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pippin/error.h"
#include "pippin/memory.h"
#include "pippin/options.h"
#include "pippin/request.h"
#include "pippin/step.h"

namespace pippin {

/// One answer as it is generated. Dropping it cancels the request: its pages are free within one
/// step. Used by one thread at a time.
class ChatStream {
 public:
  virtual ~ChatStream() = default;

  /// Waits for the next event; nullopt after the one with `finish`. Throws Error when the request
  /// failed.
  virtual std::optional<ChatEvent> next() = 0;

  /// The same without waiting: nullopt also when nothing has arrived yet (see finished()).
  virtual std::optional<ChatEvent> poll() = 0;

  /// Whether the last event has been taken.
  virtual bool finished() const = 0;

  /// Calls `ready` once, as soon as poll() has something (at once where it has): from the engine's
  /// thread or the caller's; it must only pass the word on.
  virtual void when_ready(std::function<void()> ready) = 0;

  /// How far the answer has got. Any thread may ask.
  virtual AnswerTimes times() const = 0;
};

using ChatStreams = std::vector<std::unique_ptr<ChatStream>>;

/// The disk cache (EngineOptions::cache_dir); all 0 without one. Counted since the start, but for the first three.
struct DiskStats {
  std::int64_t entries = 0;  ///< KV pages and pictures' features in the directory, of all models
  std::int64_t bytes = 0;    ///< of these
  std::int64_t queued_bytes = 0;  ///< on their way to the disk
  std::int64_t writes = 0, written_bytes = 0;
  std::int64_t write_errors = 0;  ///< after each, writing pauses for a while
  std::int64_t hits = 0, read_bytes = 0;
  /// Misses of what seemed to be there: the file had vanished; was cut, flipped, foreign or of another version; could not
  /// be read.
  std::int64_t absent = 0, damaged = 0, unreadable = 0;
  std::int64_t evictions = 0;
};

/// Counters and gauges of a running engine; read from any thread at any time.
struct EngineStats {
  std::int64_t sequences_running = 0;
  std::int64_t sequences_waiting = 0;
  std::int64_t sequences_held = 0;  ///< of both, those whose readers are too far behind
  std::int64_t pages_total = 0;
  std::int64_t pages_free = 0;    ///< neither used by a sequence nor holding cached KV
  std::int64_t pages_cached = 0;  ///< used by no sequence, holding KV that a later prompt may reuse
  std::int64_t page_bytes = 0;    ///< that a page takes over all layers
  std::int64_t pages_evicted = 0;  ///< since the start: cached ones whose place was needed
  /// Pages of the layers with a window, where these are apart from page_bytes; 0: they are not, or there are none.
  std::int64_t window_pages = 0, window_pages_free = 0, window_pages_cached = 0;
  std::int64_t window_page_bytes = 0;  ///< that such a page takes over these layers
  std::int64_t state_slots = 0;  ///< for states of recurrent layers; 0 for a model without them
  std::int64_t state_bytes = 0;  ///< that a slot takes over all layers
  std::int64_t snapshots = 0;    ///< slots that hold a state from which a later prompt may go on
  std::int64_t snapshots_evicted = 0;  ///< since the start: snapshots whose slot was needed
  /// Admitted prompts by how far the page cache knew them, since the start. whole: all but the last token; extended: all of a
  /// known text, which goes on; diverged: to where a known text goes on otherwise; evicted: to where its pages have
  /// been evicted; unknown: nothing.
  std::int64_t prefix_whole = 0;
  std::int64_t prefix_extended = 0;
  std::int64_t prefix_diverged = 0;
  std::int64_t prefix_evicted = 0;
  std::int64_t prefix_unknown = 0;
  std::int64_t media_cache_entries =
      0;  ///< pictures and temporal patches whose encoder outputs are kept
  std::int64_t media_cache_bytes = 0;        ///< that they take
  std::int64_t media_cache_limit_bytes = 0;  ///< that they may take at most
  std::int64_t media_cache_evictions = 0;    ///< of them since the start, for want of room
  std::int64_t encoder_runs = 0;  ///< pictures and videos' temporal patches encoded since the start
  std::int64_t encoder_hits = 0;  ///< of these that came up, features found in the media cache
  std::int64_t prompt_tokens = 0;  ///< since the start
  std::int64_t cached_tokens = 0;  ///< of these, read from the page cache
  std::int64_t generated_tokens = 0;
  std::int64_t preemptions = 0;
  /// Tokens computed ahead for answers that had ended by then (see EngineOptions::overlap).
  std::int64_t wasted_tokens = 0;
  std::int64_t steps = 0;
  std::int64_t gpu_kernel_mismatches =
      0;  ///< uses of our kernels that MLX's operations contradict, or that failed
  MemorySplit memory;
  DiskStats disk;
  GrammarStats grammars;
  DecodedStats decoded;
  StepStats step;
  bool healthy = true;
  std::string trouble;  ///< why it isn't
};

/// What Engine::clear_caches dropped, and what the process took before and after in bytes of memory, as the system counts
/// it (0 where it doesn't say).
struct ClearedCaches {
  std::int64_t pages = 0;  ///< of cached KV
  std::int64_t media = 0;  ///< encoded pictures
  std::int64_t grammars = 0;
  std::int64_t resident_before = 0;
  std::int64_t resident_after = 0;
};

/// How a kernel of ours did beside MLX's operation on this GPU.
struct KernelProof {
  std::string use;    ///< "product of 4 x 1024 by 4096, 4 bits, bfloat16"
  double error = 0;   ///< largest difference, by the largest number of its row
  double bound = 0;   ///< of a right kernel's error
  double own_us = 0;  ///< microseconds a call; 0 where it was not timed
  double mlx_us = 0;
  std::string failure;  ///< what our kernel threw
  bool right = true;
  bool used = true;
};

struct ModelInfo {
  std::string name;        ///< the directory's name
  std::string model_type;  ///< as in config.json: "qwen3", "qwen3_vl"
  std::int64_t max_context = 0;
  bool takes_images = false;
  /// How the model's videos are sampled where nothing else is asked for; absent: it takes none.
  std::optional<VideoSampling> video_sampling;
  std::int64_t num_parameters = 0;
  std::int64_t weight_bytes = 0;
  std::string device;                         ///< "cpu" or "gpu"
  std::vector<KernelProof> kernels;           ///< empty on a CPU, and with GpuKernels::mlx
  std::string tool_parser, reasoning_parser;  ///< the formats' names; "none" for none
  std::string
      tool_parser_warning;  ///< why calls stay text though nobody asked for that; empty: they don't
  /// Variables of the chat template by which requests choose how much the model thinks: "reasoning_effort", "enable_thinking" ...;
  /// empty where it has none.
  std::vector<std::string> thinking_switches;
};

/// A chat as the model's template has it.
struct RenderedPrompt {
  std::string text;
  std::vector<std::int32_t> tokens;
};

/// A loaded model and the thread that runs it. All methods are thread-safe. The destructor cancels what is running. An
/// interface, so that what serves an engine is tested without a model.
class Engine {
 public:
  /// Called while weights load, with the fraction done in [0, 1].
  using Progress = std::function<void(double fraction)>;

  /// Opens a Hugging Face or MLX model directory. Throws Error naming what is missing or wrong.
  static std::unique_ptr<Engine> load(const std::filesystem::path& model_dir,
                                      const EngineOptions& options = {}, Progress progress = {});
  virtual ~Engine() = default;

  /// Renders, tokenizes and prepares pictures and videos on the calling thread, then queues the request.
  /// Throws Error(invalid_argument) for a prompt that can't be answered, Error(resource_exhausted)
  /// when the queue is full.
  std::unique_ptr<ChatStream> chat(ChatRequest request);

  /// Several answers to one prompt, which is prepared and computed once. Their seeds are the request's (where it has none, a
  /// random one) plus 0, 1, 2 ...
  virtual ChatStreams chat(ChatRequest request, int num_choices) = 0;

  /// As chat, but of a plain prompt without a template.
  virtual ChatStreams complete(CompletionRequest request, int num_choices) = 0;

  /// Has the grammars compiled that the answer's format and tools ask for, on the engine's threads and in the client's turn, and
  /// calls `ready` once, on this thread or on one of those: it must only pass the word on. With what it is given as the request's
  /// `grammars`, chat() does not wait for them; that one can't be had chat() tells. Null: the request needs none.
  using Ready = std::function<void(std::shared_ptr<const Grammars>)>;
  virtual void prepare(const ChatRequest& request, Ready ready) const = 0;
  virtual void prepare(const CompletionRequest& request, Ready ready) const = 0;

  /// Tokens of the prompt that chat() would answer, placeholders of pictures included; also where no context holds them.
  /// Throws Error(invalid_argument) for a prompt that can't be built.
  virtual std::int64_t count_tokens(const ChatRequest& request) const = 0;

  /// The text's tokens; `add_special` adds what the tokenizer puts around one (BOS ...).
  virtual std::vector<std::int32_t> tokenize(const std::string& text, bool add_special) const = 0;
  /// What tokens are as text, special ones spelt out. Throws Error(invalid_argument) for ids beyond the vocabulary.
  virtual std::string detokenize(const std::vector<std::int32_t>& tokens) const = 0;
  /// The bytes that one token stands for; none where there is no such token.
  virtual std::string token_bytes(std::int32_t token) const = 0;
  /// What chat() would answer, pictures and videos as placeholders. Throws as chat() does, but the length is not looked at.
  virtual RenderedPrompt render(const ChatRequest& request) const = 0;

  /// Drops every cached page, encoded picture and compiled grammar that no running request uses, and gives their memory back to the
  /// system (on a GPU that of the pictures alone: its pages stay allocated). What is on disk stays. Waits for the end of the
  /// step that runs.
  /// Throws Error(unavailable) when the engine is stopping or has given up.
  virtual ClearedCaches clear_caches() = 0;

  virtual const ModelInfo& info() const = 0;
  /// Returns at once.
  virtual EngineStats stats() const = 0;
};

}  // namespace pippin
