# Toolchain file: builds for 64-bit ARM on a machine that is none; what is built runs in an emulator.
# With BRAMBLE_SYSROOT (tools/arm64-sysroot makes one) the whole product; without it what needs no library.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

set(BRAMBLE_SYSROOT "" CACHE PATH "A folder of arm64 libraries")
# try_compile starts from this file again, with these values only.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES BRAMBLE_SYSROOT)
set(libraries /usr/aarch64-linux-gnu)
if(BRAMBLE_SYSROOT)
  set(libraries ${BRAMBLE_SYSROOT})
  set(CMAKE_SYSROOT ${BRAMBLE_SYSROOT})
  set(CMAKE_FIND_ROOT_PATH ${BRAMBLE_SYSROOT})
  set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
  set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
  set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
  set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
  set(ENV{PKG_CONFIG_SYSROOT_DIR} ${BRAMBLE_SYSROOT})
  set(ENV{PKG_CONFIG_LIBDIR}
    ${BRAMBLE_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${BRAMBLE_SYSROOT}/usr/share/pkgconfig)
endif()
# A CPU with everything; tests name the models that boards have.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static -cpu max -L ${libraries})
