# `cmake --install`: a tree that can be moved anywhere. bin/pippin, the demo model, and MLX with the libraries it needs, laid
# out as in the wheel because libmlx finds them by paths relative to itself.
include(GNUInstallDirs)

if(TARGET pippin)
  set(_origin "$ORIGIN")
  if(APPLE)
    set(_origin "@loader_path")
  endif()
  set_target_properties(pippin PROPERTIES INSTALL_RPATH "${_origin}/../lib/pippin/mlx/lib")
  install(TARGETS pippin RUNTIME DESTINATION bin)
endif()

if(PIPPIN_MLX_ROOT)
  # Headers only where libmlx compiles kernels at run time (CUDA); package metadata never.
  install(DIRECTORY "${PIPPIN_MLX_ROOT}/" DESTINATION lib/pippin
    PATTERN "stamp" EXCLUDE
    PATTERN "share" EXCLUDE
    PATTERN "include/mlx" EXCLUDE)
endif()
install(DIRECTORY "${PROJECT_SOURCE_DIR}/assets/demo-model" DESTINATION share/pippin OPTIONAL)
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION share/pippin)
