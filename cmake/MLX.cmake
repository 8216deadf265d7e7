# The imported target `mlx`: MLX's pinned, hash-checked Python wheel unpacked into the build tree (Linux), or Homebrew's (macOS).
if(NOT PIPPIN_MLX)
  set(PIPPIN_MLX cpu)
  if(APPLE)
    set(PIPPIN_MLX brew)
  endif()
endif()

if(PIPPIN_MLX STREQUAL "brew")
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
  IMPORTED_LOCATION "${PIPPIN_MLX_ROOT}/mlx/lib/libmlx.so"
  INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${PIPPIN_MLX_ROOT}/mlx/include"
  INTERFACE_INCLUDE_DIRECTORIES "${PIPPIN_MLX_ROOT}/mlx/include")
