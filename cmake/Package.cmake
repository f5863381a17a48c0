# cpack -G DEB, in the build folder.
set(flavour "")
if(ECHODIFF_WITH_CUDA)
  set(flavour "-cuda")
endif()
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME echodiff${flavour})
set(CPACK_PACKAGE_VENDOR "echodiff contributors")
set(CPACK_PACKAGE_CONTACT "echodiff contributors <echodiff@example.org>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL programs development)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_NAME echodiff${flavour})
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PROGRAMS_DESCRIPTION "diffusion models for ultrasound pictures, with a judge in the loop
echodiff trains diffusion models on ultrasound pictures with masks, and
samples from them. A judge watches each picture while it is drawn and drops
the ones that will not become good. The programs are dtrain, dsample,
dphantom, dlabel, dweights and dreport.")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libechodiff${flavour}-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "zlib1g-dev, libjpeg62-turbo-dev, libtiff-dev, libzip-dev, libeigen3-dev")
if(ECHODIFF_WITH_MPI)
  string(APPEND CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS ", libopenmpi-dev")
endif()
if(ECHODIFF_WITH_NCCL)
  string(APPEND CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS ", libnccl-dev")
endif()
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "diffusion models for ultrasound pictures: libraries and headers
Static libraries and headers of echodiff: tensors with gradients, networks,
diffusion, sampling with a judge in the loop. find_package(echodiff) finds
them.")
foreach(other "" "-cuda")
  if(NOT other STREQUAL flavour)
    set(CPACK_DEBIAN_PROGRAMS_PACKAGE_CONFLICTS echodiff${other})
    set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_CONFLICTS libechodiff${other}-dev)
  endif()
endforeach()

# What Debian's policy wants beside the files: copyright and changelog of each package.
foreach(pair "programs;echodiff${flavour}" "development;libechodiff${flavour}-dev")
  list(GET pair 0 component)
  list(GET pair 1 package)
  install(FILES tools/package/copyright DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${component})
  install(CODE "execute_process(COMMAND gzip -9nc ${PROJECT_SOURCE_DIR}/tools/package/changelog
                                OUTPUT_FILE ${CMAKE_BINARY_DIR}/changelog.gz COMMAND_ERROR_IS_FATAL ANY)" COMPONENT ${component})
  install(FILES ${CMAKE_BINARY_DIR}/changelog.gz DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${component})
endforeach()
include(CPack)
