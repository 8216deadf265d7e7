#include "hub/gguf_choice.h"

#include <gtest/gtest.h>

#include "pippin/error.h"

namespace pippin::hub {
namespace {

using Paths = std::vector<std::string>;

const Paths repo = {"README.md",
                    "N-BF16.gguf",
                    "N-IQ4_XS.gguf",
                    "N-Q4_K_M.gguf",
                    "N-Q4_K_S.gguf",
                    "N-UD-Q4_K_M.gguf",
                    "N-UD-Q4_K_XL.gguf",
                    "mmproj-F16.gguf",
                    "imatrix_unsloth.gguf",
                    "Q8_0/N-Q8_0-00002-of-00002.gguf",
                    "Q8_0/N-Q8_0-00001-of-00002.gguf",
                    "n.q5_0.gguf"};

std::string failure(const Paths& paths, const std::string& quantization) {
  try {
    choose_gguf(paths, quantization, "o/n");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(GgufChoice, IsTheOneOfTheQuantization) {
  EXPECT_EQ(choose_gguf(repo, "Q4_K_M", "o/n"), Paths{"N-Q4_K_M.gguf"});
  EXPECT_EQ(choose_gguf(repo, "q4_k_s", "o/n"), Paths{"N-Q4_K_S.gguf"});
  EXPECT_EQ(choose_gguf(repo, "Q4_K_XL", "o/n"), Paths{"N-UD-Q4_K_XL.gguf"});
  EXPECT_EQ(choose_gguf(repo, "UD-Q4_K_M", "o/n"), Paths{"N-UD-Q4_K_M.gguf"});
  EXPECT_EQ(choose_gguf(repo, "Q5_0", "o/n"), Paths{"n.q5_0.gguf"});
  EXPECT_EQ(choose_gguf(repo, "BF16", "o/n"), Paths{"N-BF16.gguf"});
}

TEST(GgufChoice, TakesAllPartsInOrder) {
  EXPECT_EQ(choose_gguf(repo, "Q8_0", "o/n"),
            (Paths{"Q8_0/N-Q8_0-00001-of-00002.gguf", "Q8_0/N-Q8_0-00002-of-00002.gguf"}));
  EXPECT_EQ(failure({"a-Q8_0-00002-of-00002.gguf"}, "Q8_0"),
            "o/n lacks part 1 of 2 of a-Q8_0.gguf");
}

TEST(GgufChoice, IsQ4KMElseTheFirstWhereNoneIsNamed) {
  EXPECT_EQ(choose_gguf(repo, "", "o/n"), Paths{"N-Q4_K_M.gguf"});
  EXPECT_EQ(choose_gguf({"b-Q8_0.gguf", "a-Q5_0.gguf", "mmproj.gguf"}, "", "o/n"),
            Paths{"a-Q5_0.gguf"});
}

TEST(GgufChoice, SaysWhatIsThere) {
  EXPECT_EQ(failure({"x-Q4_K_M.gguf", "x-BF16.gguf", "other.gguf", "x-UD-IQ1_S.gguf"}, "Q4_K"),
            "o/n has no GGUF file 'Q4_K'; it has: other, BF16, Q4_K_M, UD-IQ1_S");
  EXPECT_EQ(failure({"mmproj-F16.gguf"}, ""), "o/n has no GGUF file");
}

}  // namespace
}  // namespace pippin::hub
