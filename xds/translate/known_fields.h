// Which fields have a meaning here. A message is walked by reflection, messages in Any included: a field that is set
// and is in neither table is an error that names it, so that no setting is lost in silence.
#pragma once

#include <span>
#include <string_view>

#include "xds/translate/translate.h"

namespace google::protobuf {
class Message;
}

namespace pillion::xds {

class Context;

// Fields that are taken and change nothing that a user can see, and why that is so.
struct IgnoredFields {
  std::string_view type;
  std::string_view fields;
  std::string_view reason;
};

std::span<const KnownFields> read_fields();
std::span<const IgnoredFields> ignored_fields();

// Reports each field of `message`, and of what is in it, that nobody reads. Types that are in no table are left to the
// one who needs them: an Any of such a type is refused where it is used.
void refuse_unknown_fields(Context& cx, const google::protobuf::Message& message);

}  // namespace pillion::xds
