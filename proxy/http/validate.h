// Rules about parts of a message that hold on HTTP/1 and HTTP/2 alike. Both codecs ask them on the way in and out, so
// that nothing which one protocol lets through can mean something else in the other.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "proxy/http/message.h"

namespace pillion::http {

// How much of the name of a field that is too much is told.
inline constexpr size_t kOffenderBytesMax = 64;

// host [":" port] of RFC 3986 3.2 without userinfo; an IPv6 address in brackets. A comma is refused although it is a
// sub-delim: two authorities joined by some other proxy must not pass for one.
bool is_authority(std::string_view s);

// Origin form (RFC 9112 3.2.1) or, for OPTIONS, "*". No fragment, no space, no control octet.
bool is_request_path(std::string_view path, std::string_view method);

// Fields that say how one connection frames its messages (RFC 9110 7.6.1): no codec forwards them.
bool is_connection_specific(HeaderId id);

// Content-Length and Host travel outside of the header map; writing them twice would be a smuggling vector. Nor does
// anybody but a codec say how HTTP/1 spelled a head (carry.h).
bool is_written_by_codec(HeaderId id);

// RFC 9110 6.5.1: framing, routing and authentication may not arrive behind the body.
bool may_be_trailer(const Header& header);

// One protocol of RFC 9110 7.8: a token, and a version behind a slash where it has one ("websocket", "SPDY/3.1").
bool is_protocol(std::string_view s);

// 1*DIGIT that fits 63 bits; nothing else.
std::optional<uint64_t> parse_decimal(std::string_view s);

std::string_view trim_ows(std::string_view s);

// Cuts the next element off a comma-separated list, without its white space; elements may be empty.
std::string_view next_element(std::string_view& list);
bool list_has(std::string_view list, std::string_view element);  // case-insensitive

// What makes a head unfit for the wire, or nullptr. Names must be tokens, values field values, the path and the
// authority as above. Asked before a byte is written.
const char* find_fault(const HeaderMap& headers);
const char* find_fault(const RequestHead& head);
const char* find_fault(const ResponseHead& head);

}  // namespace pillion::http
