// What the proofs of our kernels found out, for the next start.
#pragma once

#include <filesystem>
#include <vector>

#include "kernels/gpu/choice.h"

namespace pippin::kernels::gpu {

/// Where they are kept: the user's cache folder, by GPU, MLX's version and our kernels' texts. Empty where there is no such folder.
std::filesystem::path proofs_file();

/// Proofs of this GPU, MLX and source, as a file has them; none where it is absent or damaged.
std::vector<Proof> read_proofs(const std::filesystem::path& file);
/// What can't be written is left out.
void write_proofs(const std::filesystem::path& file, const std::vector<Proof>& proofs);

/// A trial under way, as a file beside the proofs says: a kernel may take the whole process with it, and the next start shall not try again.
class Attempt {
 public:
  explicit Attempt(const std::filesystem::path& proofs);
  ~Attempt();  ///< the trial came to its end
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;
  /// Whether a process that is no more began a trial and did not end it. The file stays then.
  bool died_before() const { return died_before_; }
  /// Lets the next start try again.
  static void forget(const std::filesystem::path& proofs);

 private:
  std::filesystem::path file_;
  bool died_before_ = false;
};

}  // namespace pippin::kernels::gpu
