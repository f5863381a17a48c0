# kernels/cuda/NAME.cpp that, beside check.cpp, call the toolkit's libraries: compiled where its headers are there.
set(ECHODIFF_CUDA_CALLERS backend captured_work context cudnn_graph pinned_buffer)

# echodiff_folder(NAME DEPENDS... LIBRARIES... [WITHOUT folder]): one library for one folder, and the dependency law.
# NAME is the folder as includes say it: tensor, or quality/labels for a room of a folder. Its headers are reachable as
# "NAME/header.h" only through its library's own include root (which holds one link, to the sources), so including a
# folder that one does not depend on fails to build. WITHOUT leaves out a room that is a library of its own.
function(echodiff_folder name)
  list(JOIN ECHODIFF_CUDA_CALLERS "|" cuda_callers)
  cmake_parse_arguments(FOLDER "" "WITHOUT" "DEPENDS;LIBRARIES" ${ARGN})
  string(REPLACE "/" "_" target ${name})
  string(REGEX MATCH "/.*$" below_this_folder ${name})
  set(folder ${CMAKE_CURRENT_SOURCE_DIR}${below_this_folder})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${folder}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "_simd\\.cpp$|_cuda\\.cpp$|/kernels/cuda/(check|toolkit|${cuda_callers})\\.cpp$")
  if(FOLDER_WITHOUT)
    list(FILTER sources EXCLUDE REGEX "/${FOLDER_WITHOUT}/")
  endif()
  include_root(${target} ${name} ${folder} root)
  add_library(${target} STATIC ${sources})
  tell_device_sources(${sources})
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${root}> $<INSTALL_INTERFACE:include/echodiff>)
  target_link_libraries(${target} PUBLIC ${FOLDER_DEPENDS} ${FOLDER_LIBRARIES})
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_property(GLOBAL APPEND PROPERTY ECHODIFF_LIBRARIES ${target})
  target_precompile_headers(${target} PRIVATE ${ECHODIFF_COMMON_HEADERS})
endfunction()

# include_root(TARGET NAME FOLDER OUT): OUT becomes a folder from which FOLDER alone can be included, as "NAME/...".
function(include_root target name folder out)
  set(root ${CMAKE_BINARY_DIR}/include/${target})
  cmake_path(GET name PARENT_PATH parent)
  file(MAKE_DIRECTORY ${root}/${parent})
  file(CREATE_LINK ${folder} ${root}/${name} SYMBOLIC)
  set(${out} ${root} PARENT_SCOPE)
endfunction()

# tell_device_sources(SOURCES...): those that include the device's header learn whether the programs have the backend;
# for all others it doesn't compile (kernels/cuda/backend.h). So all others are the same with it and without, and the
# programs on the faked device (tests/cuda) compile these alone once more.
function(tell_device_sources)
  foreach(source ${ARGN})
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
    file(STRINGS ${source} includes REGEX "^#include \"(kernels/cuda/backend|tensor/dispatch)\\.h\"")
    if(includes)
      set_property(SOURCE ${source} APPEND PROPERTY COMPILE_DEFINITIONS ECHODIFF_WITH_CUDA=$<BOOL:${ECHODIFF_WITH_CUDA}>)
      set_property(GLOBAL APPEND PROPERTY ECHODIFF_DEVICE_SOURCES ${source})
    endif()
  endforeach()
endfunction()

# Parsing these takes as long as compiling the average file; each library parses them once. No file relies on it: every
# file includes what it uses.
set(ECHODIFF_COMMON_HEADERS <algorithm> <array> <chrono> <cmath> <cstdint> <filesystem> <functional> <map> <memory> <optional>
                            <set> <sstream> <string> <vector>)
