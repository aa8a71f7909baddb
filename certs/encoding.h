// Text forms of bytes. Decoding is strict: one text per value, so that a token or a fingerprint has one spelling only
// and cannot be altered without being noticed.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pillion::certs {

std::string hex_encode(std::string_view bytes);  // Lower case.
bool is_lower_hex(std::string_view text, size_t digits);

// RFC 4648 section 5 without padding.
std::string base64url_encode(std::string_view bytes);
// Nothing for padding, other characters, an impossible length, or unused bits that are not zero.
std::optional<std::string> base64url_decode(std::string_view text);

}  // namespace pillion::certs
