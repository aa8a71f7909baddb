#include "xds/translate/context.h"

#include <functional>

namespace pillion::xds {

uint64_t hash_of(const google::protobuf::Message& message) {
  return std::hash<std::string_view>()(pack(message).value());
}

}  // namespace pillion::xds
