#include "xds/translate/context.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <functional>

#include "xds/api/validate.h"
#include "xds/translate/known_fields.h"

namespace pillion::xds {

bool check_message(Context& cx, const google::protobuf::Message& message) {
  for (ConfigError& error : validate(message, cx.path(), cx.errors_max())) cx.add(std::move(error));
  // A value that breaks its constraints is not looked at further: parts may rely on them.
  if (!cx.failed()) refuse_unknown_fields(cx, message);
  return !cx.failed();
}

uint64_t hash_of(const google::protobuf::Message& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializePartialToCodedStream(&coded);
  }
  return std::hash<std::string_view>()(bytes);
}

}  // namespace pillion::xds
