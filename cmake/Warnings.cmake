# Flags common to every target of ours. Nothing here depends on the machine that builds: a binary must run on others.
# `cmake --compile-no-warning-as-error` helps where a compiler that we don't know warns of more.
add_compile_options(-Wall -Wextra)
set(CMAKE_COMPILE_WARNING_AS_ERROR ON)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # False positives of GCC 12 in the standard library's own headers (GCC bugs 105329, 105651).
  add_compile_options(-Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread -Wno-array-bounds -Wno-maybe-uninitialized)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  add_compile_options(-Wthread-safety) # base/mutex.h
endif()
if(PIPPIN_SANITIZE)
  # The standard library's own checks come along: they see what a sanitizer can't, such as operator[] within the capacity.
  add_compile_options(-fsanitize=${PIPPIN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
  add_link_options(-fsanitize=${PIPPIN_SANITIZE})
endif()
if(PIPPIN_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(PIPPIN_OBJECTS_ONLY)
  add_compile_options(${PIPPIN_OBJECT_FLAGS})
endif()
