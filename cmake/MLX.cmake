# The imported target `mlx`: MLX's pinned, hash-checked Python wheel unpacked into the build tree, or Homebrew's library.
# PIPPIN_MLX_ROOT is the unpacked wheel (empty for Homebrew's).
if(NOT PIPPIN_MLX)
  set(PIPPIN_MLX cpu)
  if(APPLE)
    set(PIPPIN_MLX metal)
  endif()
endif()

if(PIPPIN_MLX STREQUAL "brew")
  # Whatever version Homebrew has today; the one that we test with is pinned in tools/setup/mlx.
  find_package(MLX CONFIG REQUIRED)
  return()
endif()

find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
set(PIPPIN_MLX_ROOT "${PROJECT_SOURCE_DIR}/build/mlx/${PIPPIN_MLX}")
execute_process(
  COMMAND ${Python3_EXECUTABLE} "${PROJECT_SOURCE_DIR}/tools/setup/fetch_mlx.py" --variant ${PIPPIN_MLX} --out "${PIPPIN_MLX_ROOT}"
  COMMAND_ERROR_IS_FATAL ANY)

# Declared by hand rather than through the wheel's MLXConfig.cmake: that one wants a CUDA toolkit for the CUDA wheel,
# which linking against libmlx does not need.
add_library(mlx SHARED IMPORTED)
set_target_properties(mlx PROPERTIES
  IMPORTED_LOCATION "${PIPPIN_MLX_ROOT}/mlx/lib/${CMAKE_SHARED_LIBRARY_PREFIX}mlx${CMAKE_SHARED_LIBRARY_SUFFIX}"
  INTERFACE_INCLUDE_DIRECTORIES "${PIPPIN_MLX_ROOT}/mlx/include")
if(NOT APPLE)
  # RUNPATH, which LD_LIBRARY_PATH overrides (RPATH would not be): a program linked against one variant's libmlx runs with
  # another's. And libmlx's own needs (the CUDA driver's library, say) are the running machine's business.
  target_link_options(mlx INTERFACE LINKER:--enable-new-dtags LINKER:--allow-shlib-undefined)
endif()

if(PIPPIN_MLX STREQUAL "cpu" OR PIPPIN_MLX MATCHES "^cuda")
  # MLX's Linux wheels bring the reference BLAS, one scalar thread. A program that links OpenBLAS lends its cblas_* symbols to
  # libmlx: 20 to 70 times faster float32 products on two cores (256 x 384 x 1024: 77 ms -> 1.1 ms).
  find_library(PIPPIN_OPENBLAS NAMES openblas REQUIRED)
  target_link_libraries(mlx INTERFACE -Wl,--no-as-needed "${PIPPIN_OPENBLAS}" -Wl,--as-needed)
endif()
