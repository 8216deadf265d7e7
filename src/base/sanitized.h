// Whether a sanitizer watches this program. For tests only: what the library does never depends on it.
#pragma once

namespace pippin {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
inline constexpr bool sanitized =
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool sanitized = false;
#endif

/// The number of a loop's rounds or the width of its strides. Release builds prove the values and take the first. Sanitized builds are ten
/// times slower and look for errors of memory, which a selection of the same inputs shows as well; they take the second.
constexpr int rounds(int released, int under_sanitizer) {
  return sanitized ? under_sanitizer : released;
}

}  // namespace pippin
