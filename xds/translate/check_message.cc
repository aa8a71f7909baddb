#include "xds/translate/check_message.h"

#include "xds/api/validate.h"
#include "xds/translate/context.h"
#include "xds/translate/known_fields.h"

namespace pillion::xds {

bool check_message(Context& cx, const google::protobuf::Message& message) {
  for (ConfigError& error : validate(message, cx.path(), cx.errors_max())) cx.add(std::move(error));
  // A value that breaks its constraints is not looked at further: parts may rely on them.
  if (!cx.failed()) refuse_unknown_fields(cx, message);
  return !cx.failed();
}

}  // namespace pillion::xds
