#include "kernels/gpu/kept_proofs.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace pippin::kernels::gpu {
namespace {

const Use use = {Operation::product, mx::Dtype::Val::bfloat16, {4, 1024, 4096, 4, 0}};

TEST(KeptProofs, ProofsAreKept) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "pippin-proofs";
  std::filesystem::remove_all(folder);
  const auto file = folder / "kept" / "proofs.txt";
  EXPECT_TRUE(read_proofs(file).empty());
  auto failed = use;
  failed.numbers[0] = 2;
  write_proofs(file, {{use, 0.25, 0.5, 1.5, 2.5, {}}, {failed, 0, 1, 0, 0, "no"}});
  const auto kept = read_proofs(file);
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].use, use);
  EXPECT_EQ(kept[0].error, 0.25);
  EXPECT_EQ(kept[0].bound, 0.5);
  EXPECT_EQ(kept[0].own_us, 1.5);
  EXPECT_EQ(kept[0].mlx_us, 2.5);
  std::ofstream(file, std::ios::app) << "1 12 4 x\n";
  EXPECT_TRUE(read_proofs(file).empty()) << "damaged: proved again";
  std::filesystem::remove_all(folder);
}

// A trial that ends its process is found by the next one; one that still runs is not taken for it.
TEST(KeptProofs, ATrialThatEndedTheProgramIsNotRepeated) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "pippin-attempts";
  std::filesystem::remove_all(folder);
  const auto file = folder / "proofs.txt";
  {
    EXPECT_FALSE(Attempt(file).died_before());
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "proofs.txt.trying")) << "it came to its end";
  const auto child = fork();
  if (child == 0) {
    const Attempt attempt(file);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  for (int start = 0; start < 2; ++start) EXPECT_TRUE(Attempt(file).died_before());
  Attempt::forget(file);
  EXPECT_FALSE(Attempt(file).died_before());
  std::ofstream(folder / "proofs.txt.trying") << getppid();
  EXPECT_FALSE(Attempt(file).died_before()) << "it may still run";
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace pippin::kernels::gpu
