#include "main/check_gpu.h"

#include <gtest/gtest.h>

namespace pippin {
namespace {

TEST(CheckGpu, TheTableSaysWhatIsUsedAndWhatIsWrong) {
  const auto table =
      kernel_table({{"norm of 1 x 1024, bfloat16", 0.004, 0.03, 3.25, 5, {}, true, true},
                    {"gate of 4 x 2048, float16", 0, 0.004, 9, 5, {}, true, false},
                    {"largest of 1 x 640, float32", 1, 0, 0, 0, {}, false, false},
                    {"step of 3 x 640, float32", 0, 0, 0, 0, "no room", false, false}});
  EXPECT_NE(table.find("norm of 1 x 1024, bfloat16"), std::string::npos);
  EXPECT_NE(table.find("4.0e-03   3.0e-02       3.2       5.0  own\n"), std::string::npos) << table;
  EXPECT_NE(table.find("9.0       5.0  MLX's\n"), std::string::npos) << table;
  EXPECT_NE(table.find("  WRONG\n"), std::string::npos);
  EXPECT_NE(table.find("  FAILED: no room\n"), std::string::npos);
}

}  // namespace
}  // namespace pippin
