# The C++ API for other projects, as the component `development` of `cmake --install`: headers, static libraries, and the package
# that `find_package(Pippin)` finds. Its target is Pippin::pippin; in this build tree it has the same name.
#
# A static library does not hold what it needs: PippinConfig.cmake looks for the system's libraries. Only CMake's generator knows
# them all, so it fails where _pippin_libraries lacks one.
set(_pippin_libraries base cpu engine gguf gpu kernels media models nn text vocabulary)

add_library(pippin_api INTERFACE)
add_library(Pippin::pippin ALIAS pippin_api)
set_target_properties(pippin_api PROPERTIES EXPORT_NAME pippin)
target_link_libraries(pippin_api INTERFACE pippin_engine)
target_compile_features(pippin_api INTERFACE cxx_std_20)
if(PIPPIN_OBJECTS_ONLY)
  return()
endif()

set(_package_dir lib/cmake/Pippin)
list(TRANSFORM _pippin_libraries PREPEND pippin_ OUTPUT_VARIABLE _pippin_targets)
install(TARGETS pippin_api ${_pippin_targets} EXPORT Pippin
  ARCHIVE DESTINATION lib/pippin COMPONENT development INCLUDES DESTINATION include)
install(EXPORT Pippin FILE PippinTargets.cmake NAMESPACE Pippin:: DESTINATION ${_package_dir} COMPONENT development)
install(FILES "$<TARGET_PROPERTY:pippin_rust,IMPORTED_LOCATION>" DESTINATION lib/pippin COMPONENT development)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/pippin" DESTINATION include COMPONENT development)

include(CMakePackageConfigHelpers)
get_target_property(_rust_needs pippin_rust INTERFACE_LINK_LIBRARIES)
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/PippinConfig.cmake.in" "${PROJECT_BINARY_DIR}/PippinConfig.cmake"
  INSTALL_DESTINATION ${_package_dir})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/PippinConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/PippinConfig.cmake" "${PROJECT_BINARY_DIR}/PippinConfigVersion.cmake"
  DESTINATION ${_package_dir} COMPONENT development)
