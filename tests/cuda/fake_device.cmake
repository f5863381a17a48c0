# The faked device (fake/), the programs on it, and every test. Nothing is compiled for them but what knows of a device
# (cmake/Folder.cmake): those objects come first on the command line, so an archive's own of the same names are never
# taken from it, and where one were, the link would fail for a symbol defined twice.
if(ECHODIFF_WITH_CUDA)
  layer_missing(cuda-fake "the programs of this build are for a real device; it is tested with ECHODIFF_CUDA=AUTO")
  return()
endif()
if(NOT EXISTS "${ECHODIFF_CUDA_INCLUDE}/cudnn.h")
  layer_missing(cuda-fake "no headers of cuDNN in this build (see ECHODIFF_CUDA)")
  return()
endif()

file(GLOB fake_sources CONFIGURE_DEPENDS fake/*.cpp)
file(GLOB library_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/*_cuda.cpp)
foreach(name backend check context cudnn_graph)
  list(APPEND library_sources ${PROJECT_SOURCE_DIR}/kernels/cuda/${name}.cpp)
endforeach()
host_library(kernels_fake ${fake_sources} ${library_sources})
target_link_libraries(kernels_fake PUBLIC kernels_host_kernels)

get_property(device_sources GLOBAL PROPERTY ECHODIFF_DEVICE_SOURCES)
add_library(device_objects OBJECT EXCLUDE_FROM_ALL ${device_sources})
target_link_libraries(device_objects PRIVATE cli quality)
target_precompile_headers(device_objects PRIVATE ${ECHODIFF_COMMON_HEADERS})

foreach(target kernels_fake device_objects)
  target_compile_definitions(${target} PRIVATE ECHODIFF_WITH_CUDA=1)
endforeach()

# on_fake_device(NAME OF SOURCES...): the objects of the program OF, and more sources, with everything on the fake.
function(on_fake_device name of)
  add_executable(${name} EXCLUDE_FROM_ALL ${ARGN} $<TARGET_OBJECTS:${of}> $<TARGET_OBJECTS:device_objects>)
  add_dependencies(${name} ${of})
  target_link_libraries(${name} PRIVATE kernels_fake $<TARGET_PROPERTY:${of},LINK_LIBRARIES>)
endfunction()
set(fake_programs dtrain dsample dphantom dlabel)
set(fake_bin ${CMAKE_BINARY_DIR}/bin_fake)
foreach(program ${fake_programs})
  on_fake_device(${program}_fake ${program})
  set_target_properties(${program}_fake PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${fake_bin} OUTPUT_NAME ${program})
endforeach()
list(TRANSFORM fake_programs APPEND _fake)

# What stands below the tensors.
file(GLOB fake_tests CONFIGURE_DEPENDS *_test.cpp)
add_executable(cuda_fake_tests EXCLUDE_FROM_ALL ${fake_tests})
target_include_directories(cuda_fake_tests SYSTEM PRIVATE ${ECHODIFF_CUDA_INCLUDE})
target_compile_definitions(cuda_fake_tests PRIVATE ECHODIFF_FAKE_DEVICE)
target_link_libraries(cuda_fake_tests PRIVATE kernels_fake GTest::gtest_main)

# The CPU's tests, of which those that can compute on a device are run (ECHODIFF_TEST_DEVICE), and what only a device has.
file(GLOB device_tests CONFIGURE_DEPENDS ../device/*.cpp)
on_fake_device(device_tests echodiff_tests ${device_tests})
target_compile_definitions(device_tests PRIVATE ECHODIFF_BIN_DIR="${fake_bin}")

foreach(target cuda_fake_tests device_tests)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${target} PRIVATE ECHODIFF_WITH_CUDA=1)
endforeach()

layer_build(cuda_fake cuda_fake_tests device_tests ${fake_programs})
set_tests_properties(cuda_fake_build PROPERTIES LABELS cuda-fake)
function(fake_test name program filter)
  add_test(NAME ${name} COMMAND ${program} --gtest_brief=1 --gtest_filter=${filter})
  set_tests_properties(${name} PROPERTIES LABELS cuda-fake FIXTURES_REQUIRED cuda_fake TIMEOUT 600 ENVIRONMENT ECHODIFF_TEST_DEVICE=cuda)
endfunction()
fake_test(cuda_fake cuda_fake_tests *)
fake_test(device_ops device_tests Ops/OpTest.FastPathMatchesReference/*)
fake_test(device_networks device_tests UnetGolden.*CasesMatchPyTorch:GuidedUnetGolden.*MatchesPyTorch:ResNet18Golden.BothModesMatchPyTorch)
fake_test(device_replay device_tests ReplayGolden.TwelveStepsOfTheTrainer)
fake_test(device_step device_tests DeviceStep.*:DeviceTensor.*-*EachCall*)
fake_test(device_judges device_tests DeviceJudges.*)
fake_test(device_programs device_tests DevicePrograms.*-*EachCall*)
