# The tests of kernels/ for another CPU, in an emulator (presets arm64-kernels). GoogleTest is built from Debian's sources: there are no
# libraries for that CPU here.
find_package(nlohmann_json CONFIG REQUIRED)  # headers only, and the same for every CPU
set(BUILD_GMOCK OFF)
set(INSTALL_GTEST OFF)
add_subdirectory(/usr/src/googletest ${CMAKE_BINARY_DIR}/googletest EXCLUDE_FROM_ALL SYSTEM)
target_compile_options(gtest PRIVATE -w)  # its warnings are not ours

file(GLOB kernels_tests CONFIGURE_DEPENDS kernels/*.cc)
add_executable(kernels_test ${kernels_tests})
target_link_libraries(kernels_test PRIVATE bramble_kernels nlohmann_json::nlohmann_json gtest_main)
target_compile_definitions(kernels_test PRIVATE BRAMBLE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")

# One run for each kind of CPU that boards have, and one with everything: each traps on what it lacks. A72: Raspberry Pi 4, no dot
# product. A76: Pi 5.
list(SUBLIST CMAKE_CROSSCOMPILING_EMULATOR 3 2 libraries)
foreach(cpu cortex-a72 cortex-a76 max)
  add_test(NAME kernels.${cpu}
    COMMAND qemu-aarch64-static -cpu ${cpu} ${libraries} $<TARGET_FILE:kernels_test> --gtest_brief=1)
  set_tests_properties(kernels.${cpu} PROPERTIES TIMEOUT 1800)
endforeach()
add_test(NAME kernels.objects COMMAND ${PROJECT_SOURCE_DIR}/tools/check-objects ${PROJECT_BINARY_DIR})

add_subdirectory(bench)
