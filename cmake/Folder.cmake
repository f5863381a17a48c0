# kernels/cuda/NAME.cpp that, beside check.cpp, call the toolkit's libraries: compiled where they are there.
set(ECHODIFF_CUDA_CALLERS backend captured_work context cudnn_graph pinned_buffer)

# echodiff_folder(NAME DIR DEPENDS...): one library for one folder, and the dependency law.
# A folder's headers are reachable as "NAME/header.h" only through its library's own include root (a folder that holds
# one link, to the sources), so including a folder that one does not depend on fails to build.
function(echodiff_folder name)
  list(JOIN ECHODIFF_CUDA_CALLERS "|" cuda_callers)
  cmake_parse_arguments(FOLDER "" "" "DEPENDS;LIBRARIES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "_simd\\.cpp$|_cuda\\.cpp$|/kernels/cuda/(check|${cuda_callers})\\.cpp$")
  set(root ${CMAKE_BINARY_DIR}/include/${name})
  file(MAKE_DIRECTORY ${root})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${root}/${name} SYMBOLIC)
  add_library(${name} STATIC ${sources})
  tell_device_sources(${sources})
  target_include_directories(${name} PUBLIC ${root})
  target_link_libraries(${name} PUBLIC ${FOLDER_DEPENDS} ${FOLDER_LIBRARIES})
  target_precompile_headers(${name} PRIVATE ${ECHODIFF_COMMON_HEADERS})
endfunction()

# tell_device_sources(SOURCES...): those that include the device's header learn whether the programs have the backend;
# for all others it doesn't compile (kernels/cuda/backend.h). So all others are the same with it and without, and the
# programs on the faked device (tests/cuda) compile these alone once more.
function(tell_device_sources)
  foreach(source ${ARGN})
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
