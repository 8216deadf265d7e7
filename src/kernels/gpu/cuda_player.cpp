// Plans by CUDA's driver. MLX's stream is where its encoder has it (mlx/backend/cuda/device.h: the second member), and an array's memory is
// what its buffer begins with (allocator.h); both of the version that this was read from, and no other.
#include <dlfcn.h>

#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "kernels/gpu/cuda_driver.h"
#include "kernels/gpu/cuda_source.h"
#include "kernels/gpu/plan.h"
#include "pippin/error.h"

namespace pippin::kernels::gpu {
namespace {

constexpr std::string_view known_mlx = "0.32.4";

constexpr int programmatic_serialization =
    6;                                 // CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION
constexpr int max_dynamic_shared = 8;  // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
constexpr int shared_without_asking = 48 << 10;  // bytes
constexpr int relaxed_capture = 2, non_blocking_stream = 1, event_without_time = 2;

void require(const cu::Driver& driver, cu::Result result, const char* what) {
  if (!result) return;
  const char* name = nullptr;
  driver.error_name(result, &name);
  throw Error(Code::internal, std::string("[gpu] ") + what + ": " + (name ? name : "unknown"));
}

using EncoderOf = void* (*)(mx::Stream);

EncoderOf encoder_function() {
  return reinterpret_cast<EncoderOf>(
      dlsym(RTLD_DEFAULT, "_ZN3mlx4core2cu19get_command_encoderENS0_6StreamE"));
}

cu::Stream mlx_stream() {
  static const auto encoder_of = encoder_function();
  auto* encoder = encoder_of(mx::default_stream(mx::default_device()));
  return static_cast<cu::Stream*>(encoder)[1];
}

struct Buffer {
  char* data;
  std::size_t bytes;
  int device;  // -1: memory that moves between the host and GPUs
};

const Buffer& buffer_of(const mx::array& x) {
  return *static_cast<const Buffer*>(x.buffer().ptr());
}

void* memory_of(const mx::array& x) { return buffer_of(x).data + x.offset(); }

cu::Address address(const void* memory) { return reinterpret_cast<cu::Address>(memory); }

class Functions {
 public:
  explicit Functions(const cu::Driver& driver) : driver_(driver), capability_(cuda_capability()) {}
  cu::Function of(const PlannedLaunch& launch) {
    const auto source = cuda_source(launch);
    auto& function = functions_[source];
    if (!function) function = load(source, kernel_symbol(*launch.kernel));
    if (launch.dynamic_shared > shared_without_asking)
      require(driver_, driver_.set_attribute(function, max_dynamic_shared, launch.dynamic_shared),
              "shared memory");
    return function;
  }
  /// Whether a kernel may begin before the one before it has ended.
  bool overlaps() const { return capability_ >= 90; }

 private:
  cu::Function load(const std::string& source, const std::string& name) const {
    const auto code = cuda_code(driver_, source);
    cu::Module module = nullptr;  // stays: functions are shared by all plans
    cu::Function function = nullptr;
    require(driver_, driver_.load_module(&module, code.data()), "a kernel's code");
    require(driver_, driver_.get_function(&function, module, name.c_str()), "a kernel");
    return function;
  }
  const cu::Driver& driver_;
  int capability_;
  std::map<std::string, cu::Function> functions_;
};

mx::array device_memory(std::size_t bytes) {
  mx::clear_cache();  // what MLX keeps may be memory of the host's that moves
  auto memory = mx::zeros({static_cast<int>(bytes / sizeof(float))}, mx::float32);
  memory.eval();
  return memory;
}

class CudaPlayback final : public Playback {
 public:
  CudaPlayback(const cu::Driver& driver, Functions& functions, cu::Stream capture, Plan plan)
      : driver_(driver),
        plan_(std::move(plan)),
        memory_(device_memory(plan_.bytes + bytes_of_constants())) {
    place_arrays();
    cu::Graph graph = nullptr;
    require(driver_, driver_.begin_capture(capture, relaxed_capture), "a graph");
    try {
      for (std::size_t i = 0; i < plan_.launches.size(); ++i)
        launch(plan_.launches[i], functions, capture, i > 0);
    } catch (...) {
      driver_.end_capture(capture, &graph);
      if (graph) driver_.destroy_graph(graph);
      throw;
    }
    require(driver_, driver_.end_capture(capture, &graph), "a graph");
    const auto result = driver_.instantiate(&exec_, graph, 0);
    driver_.destroy_graph(graph);
    require(driver_, result, "a graph");
  }
  ~CudaPlayback() override { driver_.destroy_exec(exec_); }
  CudaPlayback(const CudaPlayback&) = delete;
  CudaPlayback& operator=(const CudaPlayback&) = delete;

  void run() override {
    require(driver_, driver_.launch_graph(exec_, mlx_stream()), "a step's graph");
  }
  mx::array output(std::size_t i, mx::Shape shape, mx::Dtype dtype) const override {
    const auto& place = plan_.outputs[i];
    const auto& memory =
        place.array < 0 ? memory_ : plan_.arrays[static_cast<std::size_t>(place.array)];
    return view_of(memory, place.offset, std::move(shape), dtype);
  }

 private:
  void launch(const PlannedLaunch& launch, Functions& functions, cu::Stream stream,
              bool behind_another) const {
    std::vector<void*> places;
    for (const auto* side : {&launch.in, &launch.out})
      for (const auto& place : *side) places.push_back(at(place));
    std::vector<void*> parameters;
    for (auto& place : places) parameters.push_back(&place);
    cu::Attribute overlap{};
    overlap.id = programmatic_serialization;
    overlap.value.number = 1;
    const auto unsigned_of = [](int x) { return static_cast<unsigned>(x); };
    const cu::LaunchConfig config = {{unsigned_of(launch.groups[0]), unsigned_of(launch.groups[1]),
                                      unsigned_of(launch.groups[2])},
                                     {unsigned_of(launch.threads), 1, 1},
                                     unsigned_of(launch.dynamic_shared),
                                     stream,
                                     &overlap,
                                     behind_another && functions.overlaps() ? 1u : 0u};
    require(driver_, driver_.launch(&config, functions.of(launch), parameters.data(), nullptr),
            launch.kernel->name.c_str());
  }
  void* at(const Place& place) const {
    if (place.array >= 0) return places_[static_cast<std::size_t>(place.array)];
    return static_cast<char*>(memory_of(memory_)) + place.offset;
  }
  // What the host made lies in memory that moves: small as it is, it would have to be waited for whenever the host writes beside it.
  bool is_copied(std::size_t i) const {
    return !plan_.varies[i] && buffer_of(plan_.arrays[i]).device < 0;
  }
  static std::size_t rounded(std::size_t bytes) { return (bytes + 255) / 256 * 256; }
  std::size_t bytes_of_constants() const {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < plan_.arrays.size(); ++i)
      if (is_copied(i)) bytes += rounded(plan_.arrays[i].nbytes());
    return bytes;
  }
  void place_arrays() {
    auto* next = static_cast<char*>(memory_of(memory_)) + rounded(plan_.bytes);
    for (std::size_t i = 0; i < plan_.arrays.size(); ++i) {
      auto* place = memory_of(plan_.arrays[i]);
      if (is_copied(i)) {
        const auto bytes = plan_.arrays[i].nbytes();
        require(driver_, driver_.within_device(address(next), address(place), bytes, mlx_stream()),
                "constants");
        place = std::exchange(next, next + rounded(bytes));
      }
      places_.push_back(place);
    }
  }

  const cu::Driver& driver_;
  Plan plan_;
  mx::array memory_;           // and constants behind it
  std::vector<void*> places_;  // of the plan's arrays
  cu::GraphExec exec_ = nullptr;
};

// Slots in turns, each with something that the GPU uses for a while.
template <class Content>
class Ring {
 public:
  static constexpr int count = 8;
  explicit Ring(const cu::Driver& driver) : driver_(driver) {
    for (auto& slot : slots_)
      require(driver_, driver_.create_event(&slot.event, event_without_time), "an event");
  }
  /// The next, once the GPU is done with it.
  int next() {
    const int i = turn_++ % count;
    if (at(i).used) wait(i);
    return i;
  }
  /// The GPU uses it until what the stream does now is done.
  void mark(int i, cu::Stream stream) {
    at(i).used = true;
    require(driver_, driver_.record_event(at(i).event, stream), "an event");
  }
  void wait(int i) { require(driver_, driver_.wait_event(at(i).event), "a step"); }
  Content& operator[](int i) { return at(i).content; }

 private:
  struct Slot {
    Content content = {};
    cu::Event event = nullptr;
    bool used = false;
  };
  Slot& at(int i) { return slots_[static_cast<std::size_t>(i)]; }
  const cu::Driver& driver_;
  std::array<Slot, count> slots_;
  int turn_ = 0;
};

// Memory of the host that the GPU copies from or to.
struct HostMemory {
  std::int32_t* begin = nullptr;
  std::size_t room = 0;   // numbers
  std::size_t count = 0;  // that are copied
};

class CudaPlayer final : public Player {
 public:
  explicit CudaPlayer(const cu::Driver& driver)
      : driver_(driver), functions_(driver), up_(driver), down_(driver), sources_(driver) {
    require(driver_, driver_.create_stream(&capture_, non_blocking_stream), "a stream");
  }
  std::unique_ptr<Playback> prepare(Plan plan) override {
    return std::make_unique<CudaPlayback>(driver_, functions_, capture_, std::move(plan));
  }
  void upload(std::span<const std::int32_t> values, const mx::array& to) override {
    const int slot = next(up_, values.size());
    std::memcpy(up_[slot].begin, values.data(), values.size_bytes());
    const auto stream = mlx_stream();
    require(driver_,
            driver_.to_device(address(memory_of(to)), up_[slot].begin, values.size_bytes(), stream),
            "a step's input");
    up_.mark(slot, stream);
  }
  void copy(const mx::array& from, const mx::array& to, int count) override {
    const auto stream = mlx_stream();
    require(driver_,
            driver_.within_device(address(memory_of(to)), address(memory_of(from)),
                                  static_cast<std::size_t>(count) * sizeof(std::int32_t), stream),
            "tokens");
    const int slot = sources_.next();
    sources_[slot] = from;
    sources_.mark(slot, stream);
  }
  int ask(const mx::array& from, int count) override {
    const int slot = next(down_, static_cast<std::size_t>(count));
    const auto stream = mlx_stream();
    require(driver_,
            driver_.to_host(down_[slot].begin, address(memory_of(from)),
                            static_cast<std::size_t>(count) * sizeof(std::int32_t), stream),
            "tokens");
    down_.mark(slot, stream);
    return slot;
  }
  std::vector<std::int32_t> read(int request) override {
    down_.wait(request);
    const auto& [begin, room, count] = down_[request];
    return {begin, begin + count};
  }
  void* place_of(const mx::array& x) const override { return memory_of(x); }

 private:
  // A slot with room for so many numbers.
  int next(Ring<HostMemory>& ring, std::size_t count) {
    const int slot = ring.next();
    auto& memory = ring[slot];
    memory.count = count;
    if (memory.room >= count) return slot;
    const auto room = std::max<std::size_t>(2 * count, 4096);
    void* begin = nullptr;  // what it had stays: this happens a few times
    require(driver_, driver_.allocate_host(&begin, room * sizeof(std::int32_t), 0), "host memory");
    memory.begin = static_cast<std::int32_t*>(begin);
    memory.room = room;
    return slot;
  }

  const cu::Driver& driver_;
  Functions functions_;
  cu::Stream capture_ = nullptr;
  Ring<HostMemory> up_, down_;
  // Arrays that the GPU has still to read by ways that MLX knows nothing of. MLX gives the memory of an array that nobody holds to the next
  // one, and what the host writes there would be read instead: wrong tokens where the GPU lags behind the host.
  Ring<std::optional<mx::array>> sources_;
};

}  // namespace

std::unique_ptr<Player> cuda_player() {
  const auto* driver = cuda_driver();
  if (!driver || !encoder_function()) return nullptr;
  if (mx::version() != known_mlx) {
    spdlog::info("[gpu] steps are launched by MLX: version {} is not the one that plans know",
                 mx::version());
    return nullptr;
  }
  return std::make_unique<CudaPlayer>(*driver);
}

}  // namespace pippin::kernels::gpu
