# cmake --install: programs, their man pages and completion; libraries and headers for find_package(echodiff). cpack makes
# Debian packages of them: echodiff (the programs) and libechodiff-dev. A build with CUDA makes echodiff-cuda and
# libechodiff-cuda-dev.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(programs dphantom dtrain dsample dlabel dweights dreport)
if(TARGET dimport)
  list(APPEND programs dimport)
endif()
install(TARGETS ${programs} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT programs)
# Written from --help by the programs as they are built.
install(CODE "execute_process(COMMAND ${PROJECT_SOURCE_DIR}/tools/package/man_pages.sh ${CMAKE_BINARY_DIR}/bin ${CMAKE_BINARY_DIR}/man
                              COMMAND_ERROR_IS_FATAL ANY)" COMPONENT programs)
install(DIRECTORY ${CMAKE_BINARY_DIR}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT programs)
foreach(program ${programs})
  install(FILES tools/package/completion.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME ${program}
          COMPONENT programs)
endforeach()

get_property(libraries GLOBAL PROPERTY ECHODIFF_LIBRARIES)
if(ECHODIFF_WITH_CUDA)
  list(APPEND libraries kernels_cuda)
endif()
install(TARGETS ${libraries} EXPORT echodiff ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/echodiff COMPONENT development)
install(DIRECTORY kernels src/tensor src/nn src/diffusion src/train src/quality DESTINATION include/echodiff COMPONENT development
        FILES_MATCHING PATTERN "*.h")
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/echodiff)
install(EXPORT echodiff NAMESPACE echodiff:: FILE echodiffTargets.cmake DESTINATION ${package_folder} COMPONENT development)
configure_package_config_file(cmake/echodiffConfig.cmake.in ${CMAKE_BINARY_DIR}/echodiffConfig.cmake INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/echodiffConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/echodiffConfig.cmake ${CMAKE_BINARY_DIR}/echodiffConfigVersion.cmake DESTINATION ${package_folder}
        COMPONENT development)

include(cmake/Package.cmake)
