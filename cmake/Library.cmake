# pippin_library(NAME SOURCES a.cpp ... DEPS pippin_base ... TESTS a_test.cpp ... TEST_DEPS ... PRECOMPILED kind SHARDS n
#                ALONE c.cpp ...)
# A static library pippin_NAME of the calling folder and, where TESTS are given, the executable pippin_NAME_test. ctest runs it as n
# programs, each with its share of the tests; without SHARDS as one, and no other beside it, because such tests measure time.
# ALONE names sources whose local names other sources of the library have, too: they are compiled alone (PIPPIN_UNITY).
function(pippin_library name)
  cmake_parse_arguments(ARG "" "SHARDS;PRECOMPILED" "SOURCES;DEPS;TESTS;TEST_DEPS;ALONE" ${ARGN})
  add_library(pippin_${name} STATIC ${ARG_SOURCES})
  target_include_directories(pippin_${name} PUBLIC
    "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>" "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>")
  target_link_libraries(pippin_${name} PUBLIC ${ARG_DEPS} Threads::Threads)
  set_source_files_properties(${ARG_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  if(NOT ARG_PRECOMPILED)
    set(ARG_PRECOMPILED std)
  endif()
  if(NOT ARG_PRECOMPILED STREQUAL "none")
    pippin_unite(pippin_${name} ${ARG_PRECOMPILED})
    pippin_precompile(pippin_${name} ${ARG_PRECOMPILED})
  endif()
  if(ARG_TESTS)
    pippin_executable(pippin_${name}_test
      SOURCES ${ARG_TESTS} DEPS pippin_${name} ${ARG_TEST_DEPS} GTest::gtest GTest::gtest_main)
    if(NOT ARG_PRECOMPILED STREQUAL "none")
      pippin_unite(pippin_${name}_test ${ARG_PRECOMPILED}_test)
      pippin_precompile(pippin_${name}_test ${ARG_PRECOMPILED}_test)
    endif()
    # The tests' own code: what it calls is optimized as for users. A third less to compile.
    if(NOT PIPPIN_OBJECTS_ONLY)
      target_compile_options(pippin_${name}_test PRIVATE $<$<CONFIG:Release>:-O1>)
    endif()
    target_compile_definitions(pippin_${name}_test PRIVATE PIPPIN_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    if(NOT PIPPIN_OBJECTS_ONLY)
      pippin_add_tests(${name} "${ARG_SHARDS}")
    endif()
  endif()
endfunction()

# Each leaves its report in results/ (see tools/run_tests.py).
function(pippin_add_tests name shards)
  if(NOT shards)
    add_test(NAME ${name} COMMAND pippin_${name}_test)
    set_tests_properties(${name} PROPERTIES
      RUN_SERIAL ON ENVIRONMENT "GTEST_OUTPUT=json:${PROJECT_BINARY_DIR}/results/${name}.json")
    return()
  endif()
  math(EXPR last "${shards} - 1")
  foreach(shard RANGE ${last})
    add_test(NAME ${name}_${shard} COMMAND pippin_${name}_test)
    set_tests_properties(${name}_${shard} PROPERTIES
      ENVIRONMENT "GTEST_TOTAL_SHARDS=${shards};GTEST_SHARD_INDEX=${shard};GTEST_OUTPUT=json:${PROJECT_BINARY_DIR}/results/${name}_${shard}.json")
  endforeach()
endfunction()

# pippin_executable(NAME SOURCES a.cpp ... DEPS pippin_base ...)
# A program; only its objects where PIPPIN_OBJECTS_ONLY is set.
function(pippin_executable name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  if(PIPPIN_OBJECTS_ONLY)
    add_library(${name} OBJECT ${ARG_SOURCES})
  else()
    add_executable(${name} ${ARG_SOURCES})
  endif()
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
endfunction()
