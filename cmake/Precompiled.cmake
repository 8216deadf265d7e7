# What makes a whole build fast and a single file's slow, so it is off under a ccache that was asked for (CMAKE_CXX_COMPILER_LAUNCHER), as
# who works on Pippin does.
#
# PIPPIN_UNITY: sources of a target are compiled a dozen at a time, since their headers cost ten times what they do. See ALONE in Library.cmake.
#
# Precompiled headers: what many files include and none of us changes is read once, not two hundred times (a third of a build's time).
#
#   pippin_precompile(TARGET KIND)    KIND: std, mlx (and MLX's), each with _test (and GoogleTest's)
#
# A file still includes what it uses: in the portability build tests alone have precompiled headers. Not for kernels/cpu, whose files have
# instruction sets of their own.
#
# Both were tried with GCC, and with the portability build's clang.
set(pippin_precompiled_default ON)
if(CMAKE_CXX_COMPILER_LAUNCHER MATCHES "ccache" OR NOT (CMAKE_CXX_COMPILER_ID STREQUAL "GNU" OR PIPPIN_OBJECTS_ONLY))
  set(pippin_precompiled_default OFF)
endif()
# Libraries are joined in sanitized builds alone by default: a name of one source may hide another's without an error, which no program that is
# used may risk.
set(pippin_unity_default none)
if(pippin_precompiled_default AND PIPPIN_SANITIZE)
  set(pippin_unity_default all)
elseif(pippin_precompiled_default)
  set(pippin_unity_default tests)
endif()
set(PIPPIN_UNITY ${pippin_unity_default} CACHE STRING "Whose sources are compiled a dozen at a time: all | tests | none")
option(PIPPIN_PRECOMPILED "Precompile headers of other people's libraries" ${pippin_precompiled_default})

set(pippin_headers_std
  <algorithm> <array> <atomic> <chrono> <cmath> <cstdint> <cstring> <deque> <exception> <filesystem> <fstream> <functional> <limits>
  <map> <memory> <mutex> <numeric> <optional> <random> <set> <span> <sstream> <string> <string_view> <thread> <unordered_map>
  <utility> <variant> <vector> <boost/json.hpp>)
set(pippin_headers_mlx ${pippin_headers_std} <mlx/mlx.h>)
set(pippin_headers_std_test ${pippin_headers_std} <gtest/gtest.h>)
set(pippin_headers_mlx_test ${pippin_headers_mlx} <gtest/gtest.h>)

function(pippin_precompile target kind)
  if(NOT PIPPIN_PRECOMPILED OR (PIPPIN_OBJECTS_ONLY AND NOT kind MATCHES "_test$"))
    return()
  endif()
  set(holder pippin_precompiled_${kind})
  if(NOT TARGET ${holder})
    file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/precompiled.cpp" CONTENT "// Holds precompiled headers.\n")
    add_library(${holder} STATIC "${PROJECT_BINARY_DIR}/precompiled.cpp")
    target_link_libraries(${holder} PRIVATE Boost::json spdlog::spdlog Threads::Threads)
    if(kind MATCHES "mlx")
      target_link_libraries(${holder} PRIVATE mlx)
    endif()
    if(kind MATCHES "_test")
      target_link_libraries(${holder} PRIVATE GTest::gtest)
    endif()
    target_precompile_headers(${holder} PRIVATE ${pippin_headers_${kind}})
  endif()
  target_precompile_headers(${target} REUSE_FROM ${holder})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fpch-preprocess)  # for ccache
  endif()
endfunction()

function(pippin_unite target kind)
  if(PIPPIN_UNITY STREQUAL "all" OR (PIPPIN_UNITY STREQUAL "tests" AND kind MATCHES "_test$"))
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 12)
  endif()
endfunction()
