# The target llhttp: the HTTP/1 parser, from the pinned source archive that `make deps` put into the cache.
include_guard(GLOBAL)
include(${CMAKE_SOURCE_DIR}/.ci/downloads.cmake)

pillion_download(archive llhttp-9.3.0.0.tar.gz)
set(unpacked ${CMAKE_BINARY_DIR}/llhttp)
if(NOT EXISTS ${unpacked}/llhttp-9.3.0.0/lib/llhttp.h OR ${archive} IS_NEWER_THAN ${unpacked}/llhttp-9.3.0.0)
  file(ARCHIVE_EXTRACT INPUT ${archive} DESTINATION ${unpacked} TOUCH)
endif()
set(llhttp_dir ${unpacked}/llhttp-9.3.0.0/lib)

add_library(llhttp STATIC ${llhttp_dir}/api.c ${llhttp_dir}/http.c ${llhttp_dir}/llhttp.c)
target_include_directories(llhttp SYSTEM PUBLIC ${llhttp_dir})
target_compile_options(llhttp PRIVATE -O2 -w)
