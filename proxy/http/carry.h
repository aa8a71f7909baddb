// HTTP/1 inside of HTTP/2, between two Pillions that agreed on it by ALPN (config::kCarryAlpn). HTTP/2 has one spelling
// of names and one version; a head, or a block of trailers, that comes from HTTP/1 has one more field, which says what
// it was:
//
//   x-pillion-http1: 1,User-Agent,Accept;;,X-CuStOm
//
//   "1" or "0"   HTTP/1.1, HTTP/1.0; "n" is HTTP/1.0 without a Host, whose :authority is a placeholder
//   ",NAME"      the next field of the block is spelled so
//   ";"          the next field is in lower case; these are left out at the end
//
// The value is the same for every message of one client, so HPACK makes an octet of it. Requests always have the field
// (without it they are HTTP/2's), other blocks where some name needs it. It is never forwarded, taken only where it was
// agreed on, and dropped when anybody else sends it: validate.h counts it among the fields that only codecs write.
#pragma once

#include <string>
#include <string_view>

#include "proxy/http/message.h"

namespace pillion::http {

// Of the field's value. Names beyond it arrive in lower case; a peer that sends more is refused.
inline constexpr size_t kCarriedBytesMax = 8 * 1024;
// A larger value would push everything else out of HPACK's table.
inline constexpr size_t kCarriedIndexedBytesMax = 1024;
inline constexpr std::string_view kNoAuthority = "-";

// The value, in the making; used again for the next block.
class CarriedWriter {
 public:
  void start(const RequestHead& head);
  void start() { start('1'); }  // a response, or trailers
  // The next field of the block.
  void add(std::string_view name);
  bool has_names() const { return value_.size() > 1; }
  std::string_view value() const { return value_; }

 private:
  void start(char version);

  std::string value_;
  size_t in_lower_case_ = 0;  // fields since the last name
};

// Gives `fields` the names that `value` (not empty, and of their arena) has for them. nullptr, or what is wrong with
// it.
const char* apply_carried(std::string_view value, HeaderMap& fields, Version& version);

}  // namespace pillion::http
