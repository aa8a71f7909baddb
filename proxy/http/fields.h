// Changes of single header fields, as configuration asks for them.
#pragma once

#include <string_view>

#include "proxy/http/message.h"

namespace pillion::http {

// False for pseudo-headers and for what belongs to a connection or is written by the codec.
bool may_change_field(std::string_view name);

// Adds a field; one that has one value by its definition grows by ",value" instead, where it is there. The views are
// kept.
void append_field(std::string_view name, std::string_view value, HeaderMap& headers);

// Does nothing to what may not be changed.
void remove_field(std::string_view name, HeaderMap& headers);

}  // namespace pillion::http
