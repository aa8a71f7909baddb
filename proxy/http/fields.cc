#include "proxy/http/fields.h"

#include "proxy/http/validate.h"

namespace pillion::http {
namespace {

// A second field of such a name would make two messages of one; what may be repeated, or is not known here, is.
bool is_joined(HeaderId id) {
  switch (id) {
    case HeaderId::other:
    case HeaderId::cookie:
    case HeaderId::set_cookie:
    case HeaderId::retry_after:
    case HeaderId::traceparent: return false;
    default: return true;
  }
}

}  // namespace

bool may_change_field(std::string_view name) {
  const HeaderId id = header_id(name);
  return !name.starts_with(':') && !is_connection_specific(id) && !is_written_by_codec(id);
}

void append_field(std::string_view name, std::string_view value, HeaderMap& headers) {
  const HeaderId id = header_id(name);
  if (is_joined(id) && headers.has(id)) {
    headers.append(id, value);
  } else {
    headers.add(name, value);
  }
}

void remove_field(std::string_view name, HeaderMap& headers) {
  if (!may_change_field(name)) return;
  const HeaderId id = header_id(name);
  if (id != HeaderId::other) {
    headers.remove(id);
  } else {
    headers.remove(name);
  }
}

}  // namespace pillion::http
