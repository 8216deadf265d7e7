#include "kernels/gpu/kept_proofs.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/digest.h"
#include "base/environment.h"
#include "base/files.h"
#include "kernels/gpu/texts.h"

namespace pippin::kernels::gpu {

std::filesystem::path proofs_file() {
  const auto folder = user_folder(environment_variable, "XDG_CACHE_HOME", ".cache");
  if (folder.empty()) return {};
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
    if (!words || operation < 0 || operation > static_cast<int>(Operation::step)) return {};
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
