# `cmake --install`: a tree that can be moved anywhere. bin/pippin, the demo model, and MLX with the libraries it needs, laid
# out as in the wheel because libmlx finds them by paths relative to itself. The system's other libraries are not in it: tools/package
# adds them. The component `development` (Api.cmake) is for other projects, `runtime` is all that the program needs.
include(GNUInstallDirs)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME runtime)

if(TARGET pippin)
  set(_origin "$ORIGIN")
  if(APPLE)
    set(_origin "@loader_path")
  endif()
  set_target_properties(pippin PROPERTIES INSTALL_RPATH "${_origin}/../lib/pippin:${_origin}/../lib/pippin/mlx/lib")
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

# What shells and man read, printed by the program itself.
if(TARGET pippin AND NOT PIPPIN_OBJECTS_ONLY)
  set(_documents "${PROJECT_BINARY_DIR}/documents")
  file(MAKE_DIRECTORY "${_documents}")
  install(CODE "
    function(pippin_print file)
      execute_process(COMMAND \"$<TARGET_FILE:pippin>\" \${ARGN} OUTPUT_FILE \"${_documents}/\${file}\" COMMAND_ERROR_IS_FATAL ANY)
    endfunction()
    pippin_print(pippin.1 man)
    pippin_print(pippin completions bash)
    pippin_print(_pippin completions zsh)
    pippin_print(pippin.fish completions fish)")
  install(FILES "${_documents}/pippin.1" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
  install(FILES "${_documents}/pippin" DESTINATION share/bash-completion/completions)
  install(FILES "${_documents}/_pippin" DESTINATION share/zsh/site-functions)
  install(FILES "${_documents}/pippin.fish" DESTINATION share/fish/vendor_completions.d)
endif()

include(Api)
