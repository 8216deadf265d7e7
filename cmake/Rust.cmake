# The Rust library (rust/) as the imported target pippin_rust, built by cargo from its lock file.
# One artefact in <source>/build/rust serves every build directory, whatever its preset.

set(PIPPIN_RUST_MINIMUM 1.87)
# The one that tools/setup/fetch_rust.py brought, if it did, comes first.
set(_rust_places "${PROJECT_SOURCE_DIR}/build/rust-toolchain/bin" "$ENV{CARGO_HOME}/bin" "$ENV{HOME}/.cargo/bin")
find_program(CARGO cargo HINTS ${_rust_places})
find_program(RUSTC rustc HINTS ${_rust_places})
set(_rust_version 0)
if(CARGO AND RUSTC)
  execute_process(COMMAND "${RUSTC}" --version OUTPUT_VARIABLE _rust_says ERROR_QUIET)
  if(_rust_says MATCHES "rustc ([0-9]+\\.[0-9]+)")
    set(_rust_version "${CMAKE_MATCH_1}")
  endif()
endif()
if(_rust_version VERSION_LESS PIPPIN_RUST_MINIMUM)
  if(_rust_version)
    set(_rust_found "found ${_rust_version} at ${RUSTC}")
  else()
    set(_rust_found "found none")
  endif()
  # A later run looks again, with the PATH of that time.
  unset(CARGO CACHE)
  unset(RUSTC CACHE)
  message(FATAL_ERROR "Pippin needs Rust ${PIPPIN_RUST_MINIMUM} or newer (cargo and rustc): "
    "${_rust_found}. Fetch the pinned one into build/rust-toolchain with\n"
    "  python3 tools/setup/fetch_rust.py --out build/rust-toolchain\n"
    "or install one (https://rustup.rs), and run this again.")
endif()

set(_rust_source "${PROJECT_SOURCE_DIR}/rust")
set(_rust_target "${PROJECT_SOURCE_DIR}/build/rust")
set(_rust_archive "${_rust_target}/release/libpippin_rust.a")
# Panics name source files: the same names on every machine, so that two builds are the same bytes.
set(_rust_home "$ENV{HOME}/.cargo")
if(NOT "$ENV{CARGO_HOME}" STREQUAL "")
  set(_rust_home "$ENV{CARGO_HOME}")
endif()
set(_rust_names "--remap-path-prefix=${_rust_home}=cargo --remap-path-prefix=${PROJECT_SOURCE_DIR}=pippin")
set(_rust_environment "CARGO_TARGET_DIR=${_rust_target}" "RUSTC=${RUSTC}" "RUSTFLAGS=${_rust_names}")
set(_rust_options --release --locked --quiet)
if(PIPPIN_FUZZ)
  # One of its own, which counts branches and comparisons for libFuzzer (as clang's -fsanitize=fuzzer-no-link does) and panics
  # where a number overflows. A named target keeps the flags from what cargo runs itself.
  execute_process(COMMAND "${RUSTC}" -vV OUTPUT_VARIABLE _rust_says COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCH "host: ([^\n]+)" _ "${_rust_says}")
  set(_rust_target "${PROJECT_SOURCE_DIR}/build/fuzz/rust")
  set(_rust_archive "${_rust_target}/${CMAKE_MATCH_1}/release/libpippin_rust.a")
  set(_rust_flags "-Cpasses=sancov-module")
  foreach(flag level=3 inline-8bit-counters pc-table trace-compares)
    string(APPEND _rust_flags " -Cllvm-args=-sanitizer-coverage-${flag}")
  endforeach()
  set(_rust_environment "CARGO_TARGET_DIR=${_rust_target}" "RUSTC=${RUSTC}" "RUSTFLAGS=${_rust_flags}"
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true)
  list(APPEND _rust_options --target "${CMAKE_MATCH_1}")
endif()
file(GLOB_RECURSE _rust_files CONFIGURE_DEPENDS "${_rust_source}/src/*.rs")
add_custom_command(
  OUTPUT "${_rust_archive}"
  COMMAND ${CMAKE_COMMAND} -E env ${_rust_environment} "${CARGO}" build ${_rust_options}
  COMMAND ${CMAKE_COMMAND} -E touch "${_rust_archive}"
  DEPENDS ${_rust_files} "${_rust_source}/Cargo.toml" "${_rust_source}/Cargo.lock"
  WORKING_DIRECTORY "${_rust_source}"
  COMMENT "Building the Rust library (one to two minutes the first time)"
  VERBATIM)
add_custom_target(pippin_rust_build DEPENDS "${_rust_archive}")

find_package(Threads REQUIRED)
add_library(pippin_rust STATIC IMPORTED GLOBAL)
add_dependencies(pippin_rust pippin_rust_build)
set_target_properties(pippin_rust PROPERTIES
  IMPORTED_LOCATION "${_rust_archive}"
  INTERFACE_INCLUDE_DIRECTORIES "${_rust_source}/include")
target_link_libraries(pippin_rust INTERFACE Threads::Threads ${CMAKE_DL_LIBS})
if(APPLE)
  target_link_libraries(pippin_rust INTERFACE "-framework CoreFoundation" iconv)
else()
  target_link_libraries(pippin_rust INTERFACE m)
endif()

# The library's own unit tests, by cargo. Not in the sanitizers' builds, of which it is no part.
if(NOT PIPPIN_OBJECTS_ONLY AND NOT PIPPIN_SANITIZE)
  add_test(NAME rust
    COMMAND ${CMAKE_COMMAND} -E env ${_rust_environment} "${CARGO}" test --release --locked --quiet
    WORKING_DIRECTORY "${_rust_source}")
endif()
