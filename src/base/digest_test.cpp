#include "base/digest.h"

#include <gtest/gtest.h>

namespace pippin {

TEST(Digest, KnownValueOfTheEmptyInput) {
  // From the BLAKE3 specification's test vectors.
  EXPECT_EQ(to_hex(blake3({})), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
}

TEST(Digest, PiecesHashAsTheWhole) {
  std::vector<std::uint8_t> bytes(5000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
  Hasher hasher;
  hasher.update(std::span(bytes).first(1234));
  hasher.update(std::span(bytes).subspan(1234));
  EXPECT_EQ(hasher.finish(), blake3(bytes));
}

}  // namespace pippin
