# The target xds_protos: the generated messages of Envoy's v3 API (roots.txt and what it imports), as SYSTEM headers.
# Consumers link the whole archive: a type is found by its name in an Any, so the linker cannot see what is used.
include_guard(GLOBAL)
include(${CMAKE_SOURCE_DIR}/.ci/downloads.cmake)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
find_package(Protobuf REQUIRED)

set(xds_unit_count 24)
set(xds_out ${CMAKE_BINARY_DIR}/xds)
set(xds_units)
math(EXPR xds_last "${xds_unit_count} - 1")
foreach(number RANGE ${xds_last})
  if(number LESS 10)
    set(number 0${number})
  endif()
  list(APPEND xds_units ${xds_out}/unit_${number}.cc)
endforeach()

pillion_download(xds_wheel xds_protos-1.85.0-py3-none-any.whl)
list(GET Protobuf_INCLUDE_DIRS 0 xds_well_known)
add_custom_command(
  OUTPUT ${xds_out}/stamp
  BYPRODUCTS ${xds_units} ${xds_out}/xds.pb ${xds_out}/well_known.pb
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/descriptors.py --wheel ${xds_wheel}
    --roots ${CMAKE_CURRENT_LIST_DIR}/roots.txt --protoc ${Protobuf_PROTOC_EXECUTABLE}
    --well-known ${xds_well_known} --units ${xds_unit_count} --out ${xds_out}
  DEPENDS ${CMAKE_CURRENT_LIST_DIR}/descriptors.py ${CMAKE_CURRENT_LIST_DIR}/roots.txt ${xds_wheel}
  COMMENT "Generating the messages of the xDS API"
  VERBATIM)

# Compiled once, without sanitizers, debug information or warnings. Paths are relative for ccache, so that every build
# folder finds the same objects.
add_library(xds_protos_archive STATIC ${xds_units} ${xds_out}/stamp)
target_include_directories(xds_protos_archive SYSTEM PUBLIC ${xds_out}/gen)
target_compile_options(xds_protos_archive PRIVATE -w -O1 -g0)
target_link_libraries(xds_protos_archive PUBLIC protobuf::libprotobuf)
if(CCACHE)
  set_target_properties(xds_protos_archive PROPERTIES CXX_COMPILER_LAUNCHER
    "${CMAKE_COMMAND};-E;env;CCACHE_BASEDIR=${CMAKE_BINARY_DIR};CCACHE_NOHASHDIR=1;${CCACHE}")
endif()

add_library(xds_protos INTERFACE)
target_link_libraries(xds_protos INTERFACE "$<LINK_LIBRARY:WHOLE_ARCHIVE,xds_protos_archive>")
