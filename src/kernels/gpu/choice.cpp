#include "kernels/gpu/choice.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>
#include <utility>

#include "base/digest.h"
#include "base/files.h"
#include "kernels/gpu/sampling.h"
#include "kernels/gpu/texts.h"
#include "kernels/gpu/tokens.h"
#include "pippin/error.h"

namespace pippin::kernels::gpu {
namespace {

constexpr const char* names[] = {"attention", "product", "norm",     "gate", "embedding",
                                 "angles",    "largest", "sampling", "step"};

Choices& choices() {
  static Choices choices;
  return choices;
}

Trial*& running() {
  static thread_local Trial* trial = nullptr;
  return trial;
}

mx::Dtype dtype_of(mx::Dtype::Val value) {
  for (const auto dtype : {mx::float16, mx::bfloat16, mx::int32})
    if (dtype.val() == value) return dtype;
  return mx::float32;
}

std::string name_of(mx::Dtype::Val value) {
  std::ostringstream text;
  text << dtype_of(value);
  return text.str();
}

// Both sides round to the dtype, and MLX rounds between its operations, too: some units of the last place of the row's largest number.
double bound_of(mx::Dtype dtype) {
  if (dtype == mx::bfloat16) return 8 / 256.0;
  if (dtype == mx::float16) return 8 / 2048.0;
  return dtype == mx::float32 ? 2e-4 : 0;
}

// Largest difference within a row, by the row's largest number; infinite where one side alone is not a number.
double error_of(const mx::array& mine, const mx::array& theirs) {
  if (mine.shape() != theirs.shape()) return std::numeric_limits<double>::infinity();
  const int width = mine.ndim() ? std::max(mine.shape(-1), 1) : 1;
  const auto as_rows = [&](const mx::array& x) {
    return mx::reshape(mx::astype(x, mx::float32), {-1, width});
  };
  const auto a = as_rows(mine), b = as_rows(theirs);
  const auto tiny = mx::array(std::numeric_limits<float>::min());
  const auto errors = mx::max(mx::abs(a - b), 1) / mx::maximum(mx::max(mx::abs(b), 1), tiny);
  const auto error = mx::max(errors).item<float>();
  return std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
}

double worst_by_bound(const std::vector<mx::array>& mine, const std::vector<mx::array>& theirs,
                      Proof& proof) {
  double worst = -1;
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    const double bound = bound_of(theirs[i].dtype()), error = error_of(mine[i], theirs[i]);
    const double part = bound > 0 ? error / bound : error * 1e9;
    if (part <= worst) continue;
    worst = part;
    proof.error = error;
    proof.bound = bound;
  }
  return worst;
}

}  // namespace

int rows(const mx::array& x) {
  return static_cast<int>(std::bit_ceil(static_cast<unsigned>(std::max(x.shape(0), 1))));
}

Use use_of(Operation operation, const mx::array& x, int width) {
  return {operation, x.dtype().val(), {rows(x), width, 0, 0, 0}};
}

Use sampling_use(const mx::array& logits, const SamplingKind& kind) {
  auto use = use_of(Operation::sampling, before_cast(logits), logits.shape(1));
  use.numbers[2] = kind.edits || kind.masks ? 2 : kind.top_k || kind.top_p ? 1 : 0;
  return use;
}

Use step_use(std::int64_t vocab_size, int rows, mx::Dtype arithmetic) {
  return {Operation::step, arithmetic.val(), {rows, static_cast<int>(vocab_size), 0, 0, 0}};
}

std::string text_of(const Use& use) {
  const auto& n = use.numbers;
  std::ostringstream text;
  text << names[static_cast<int>(use.operation)];
  if (use.operation == Operation::product)
    text << " of " << n[0] << " x " << n[2] << " by " << n[1]
         << (n[3] ? ", " + std::to_string(n[3]) + " bits" : "") << (n[4] ? ", plus residual" : "");
  else if (use.operation == Operation::attention)
    text << " of " << (n[0] ? std::to_string(n[0]) + " rows" : "prompts") << ", " << n[1] << '/'
         << n[2] << " heads of " << n[3];
  else
    text << " of " << n[0] << " x " << n[1];
  if (use.operation == Operation::sampling && n[2] > 0)
    text << (n[2] == 1 ? ", filtered" : ", edited");
  text << ", " << name_of(use.dtype);
  return text.str();
}

bool chosen(const Use& use) {
  if (const auto* trial = running()) return trial->turn_ != Trial::Turn::mlx;
  const auto& all = choices();
  return !all.proved || all.own.contains(use);
}

void use_only(const std::vector<Use>& uses) { choices() = {true, {uses.begin(), uses.end()}}; }

void forget_proofs() { choices() = {}; }

void swap_choices(Choices& others) { std::swap(choices(), others); }

Trial::Trial(std::vector<Proof> known, int calls) : calls_(calls) {
  for (auto& proof : known) proofs_.emplace(proof.use, std::move(proof));
  running() = this;
}

Trial::~Trial() { running() = nullptr; }

std::vector<Proof> Trial::proofs() const {
  std::vector<Proof> all;
  for (const auto& use : met_) all.push_back(proofs_.at(use));
  return all;
}

// Each layer rounds a few times, at random: eight times an operation's bound (an H200, bfloat16, 36 layers: a quarter of that). A kernel that is
// wrong changes logits by as much as they are large.
void measure_step(const mx::array& own, const mx::array& mlx, Proof& proof) {
  constexpr double roundings = 8;
  proof.error = error_of(own, mlx);
  proof.bound = roundings * bound_of(dtype_of(proof.use.dtype));
}

std::vector<mx::array> Trial::make(Turn turn, const Make& make) {
  const auto before = std::exchange(turn_, turn);
  try {
    auto made = make();
    mx::eval(made);
    turn_ = before;
    return made;
  } catch (...) {
    turn_ = before;
    throw;
  }
}

// The best of three rounds, each of which the device gets at once.
double Trial::microseconds(Turn turn, const Make& make) {
  const auto all = [&] {
    std::vector<mx::array> made;
    for (int i = 0; i < calls_; ++i)
      for (auto& one : make()) made.push_back(std::move(one));
    return made;
  };
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < 3; ++round) {
    const auto start = std::chrono::steady_clock::now();
    this->make(turn, all);
    const std::chrono::duration<double, std::micro> taken =
        std::chrono::steady_clock::now() - start;
    best = std::min(best, taken.count() / calls_);
  }
  return best;
}

Proof Trial::proof_of(const Use& use, const Make& own, const Make& mlx) {
  Proof proof{use, 0, 0, 0, 0, {}};
  try {
    const auto theirs = make(Turn::mlx, mlx);
    const auto mine = make(Turn::own, own);
    worst_by_bound(mine, theirs, proof);
    if (!proof.right() || calls_ == 0) return proof;
    timing_ = true;
    proof.own_us = microseconds(Turn::own, own);
    proof.mlx_us = microseconds(Turn::mlx, mlx);
  } catch (const std::exception& thrown) {
    proof.failure = thrown.what();
  }
  timing_ = false;
  return proof;
}

std::vector<mx::array> Trial::compare(const Use& use, const Make& own, const Make& mlx) {
  met_.insert(use);
  if (!proofs_.contains(use)) proofs_.emplace(use, proof_of(use, own, mlx));
  return make(Turn::mlx, mlx);
}

bool compares() { return running() && running()->compares(); }
bool times() { return running() && running()->times(); }

std::vector<mx::array> proved(const Use& use, const Trial::Make& own, const Trial::Make& mlx) {
  return compares() ? running()->compare(use, own, mlx) : own();
}

// ---- what is kept

std::filesystem::path proofs_file() {
  const char* chosen = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  if ((!chosen || !*chosen) && (!home || !*home)) return {};
  const auto folder =
      chosen && *chosen ? std::filesystem::path(chosen) : std::filesystem::path(home) / ".cache";
  std::ostringstream machine;
  machine << mx::version() << '\n' << text::digest << '\n';
  for (const auto& [key, value] : mx::device_info(mx::default_device()))
    if (key == "device_name" || key == "architecture")
      if (const auto* name = std::get_if<std::string>(&value)) machine << *name << '\n';
  const auto text = machine.str();
  const auto digest = blake3({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  return folder / "pippin" / "gpu-kernels" / (to_hex(digest).substr(0, 16) + ".txt");
}

// A line each: the use's numbers, error, bound and times. Failures are not kept: the next start tries again.
std::vector<Proof> read_proofs(const std::filesystem::path& file) {
  std::vector<Proof> proofs;
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    int operation = -1, dtype = -1;
    Proof proof{};
    words >> operation >> dtype;
    for (auto& number : proof.use.numbers) words >> number;
    words >> proof.error >> proof.bound >> proof.own_us >> proof.mlx_us;
    if (!words || operation < 0 || operation >= static_cast<int>(std::size(names))) return {};
    proof.use.operation = static_cast<Operation>(operation);
    proof.use.dtype = static_cast<mx::Dtype::Val>(dtype);
    proofs.push_back(std::move(proof));
  }
  return proofs;
}

void write_proofs(const std::filesystem::path& file, const std::vector<Proof>& proofs) {
  std::ostringstream text;
  text.precision(17);
  for (const auto& proof : proofs) {
    if (!proof.right()) continue;
    text << static_cast<int>(proof.use.operation) << ' ' << static_cast<int>(proof.use.dtype);
    for (const int number : proof.use.numbers) text << ' ' << number;
    text << ' ' << proof.error << ' ' << proof.bound << ' ' << proof.own_us << ' ' << proof.mlx_us
         << '\n';
  }
  try {
    std::filesystem::create_directories(file.parent_path());
    write_file(file, text.str());
  } catch (const std::exception&) {  // the next start tries all of it again
  }
}

namespace {

std::filesystem::path attempt_file(const std::filesystem::path& proofs) {
  return proofs.empty() ? proofs : std::filesystem::path(proofs.string() + ".trying");
}

}  // namespace

Attempt::Attempt(const std::filesystem::path& proofs) : file_(attempt_file(proofs)) {
  if (file_.empty()) return;
  int process = 0;
  if (std::ifstream(file_) >> process && process > 0 && process != getpid())
    died_before_ = kill(process, 0) != 0 && errno == ESRCH;
  if (died_before_) return;
  try {
    std::filesystem::create_directories(file_.parent_path());
    write_file(file_, std::to_string(getpid()));
  } catch (const std::exception&) {  // without a place for it nothing is remembered
  }
}

Attempt::~Attempt() {
  std::error_code ignored;
  if (!died_before_ && !file_.empty()) std::filesystem::remove(file_, ignored);
}

void Attempt::forget(const std::filesystem::path& proofs) {
  std::error_code ignored;
  if (!proofs.empty()) std::filesystem::remove(attempt_file(proofs), ignored);
}

}  // namespace pippin::kernels::gpu
