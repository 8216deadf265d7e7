# The chat page (page/) and its libraries as a C++ source, PIPPIN_PAGE_SOURCE. The libraries come from the npm registry, pinned and
# hash-checked; Node is not needed.
find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
set(_page_vendor "${PROJECT_SOURCE_DIR}/build/page/vendor")
execute_process(
  COMMAND ${Python3_EXECUTABLE} "${PROJECT_SOURCE_DIR}/tools/setup/fetch_page.py" --out "${_page_vendor}"
  COMMAND_ERROR_IS_FATAL ANY)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tools/setup/page.json")

set(PIPPIN_PAGE_SOURCE "${PROJECT_BINARY_DIR}/page_files.cpp")
file(GLOB _page_files CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/page/*")
add_custom_command(
  OUTPUT "${PIPPIN_PAGE_SOURCE}"
  COMMAND ${Python3_EXECUTABLE} "${PROJECT_SOURCE_DIR}/tools/page/embed.py"
          --page "${PROJECT_SOURCE_DIR}/page" --vendor "${_page_vendor}" --out "${PIPPIN_PAGE_SOURCE}"
  DEPENDS ${_page_files} "${_page_vendor}/stamp" "${PROJECT_SOURCE_DIR}/tools/page/embed.py"
  VERBATIM)
