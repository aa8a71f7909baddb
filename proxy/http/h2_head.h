// Field blocks of HTTP/2 to heads and back: pseudo-headers, cookie crumbs, extended CONNECT.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "proxy/base/error.h"
#include "proxy/http/carry.h"
#include "proxy/http/codec.h"
#include "proxy/http/message.h"

namespace pillion::http {

// A field block that is being received. nghttp2 has checked the names, the order and the number of pseudo-headers.
class H2Block {
 public:
  explicit H2Block(Arena& arena) : fields_(arena) {}

  // False once the block is over a limit; what comes then is counted and dropped.
  bool add(std::string_view name, std::string_view value, const CodecLimits& limits);
  bool is_too_large() const { return too_large_; }
  // Names the field that crossed the limit; in the arena of the block's user.
  const char* too_large() const;
  // With what was dropped: how much the peer has made us decode.
  size_t bytes() const { return bytes_; }
  uint16_t status() const;

  // Errors: bad_message. An extended CONNECT becomes a GET with `upgrade`.
  Expected<RequestHead> take_request(bool end);
  Expected<ResponseHead> take_response();
  Expected<HeaderMap> take_trailers();

 private:
  bool outgrow(std::string_view name);
  void add_pseudo(std::string_view name, std::string_view value);
  bool add_carried(std::string_view value, const CodecLimits& limits);
  const char* take_carried(Version& version);
  const char* take_authority(RequestHead& head);
  const char* check(const RequestHead& head) const;
  void take_framing(RequestHead& head, bool end);
  void join_cookies();

  HeaderMap fields_;
  std::string_view method_;
  std::string_view scheme_;
  std::string_view authority_;
  std::string_view path_;
  std::string_view protocol_;
  std::string_view status_;
  std::string_view offender_;  // the name of what was too much
  std::string_view carried_;   // what it said as HTTP/1; "" where it never was
  size_t bytes_ = 0;
  bool carried_twice_ = false;
  bool too_large_ = false;
};

// Field blocks for nghttp2, which copies them when they are submitted and writes names in lower case. The views must
// live until then; the object is used again for the next block.
class H2Fields {
 public:
  // `carries_http1`: the peer is another Pillion that agreed to it (carry.h).
  explicit H2Fields(bool carries_http1) : carries_http1_(carries_http1) {}
  void set_request(const RequestHead& head);
  // `starts_tunnel`: an upgrade or CONNECT that is agreed to, which is a 200 here and has no length.
  void set_response(const ResponseHead& head, bool starts_tunnel);
  void set_trailers(const HeaderMap& trailers);
  const nghttp2_nv* data() const { return fields_.data(); }
  size_t size() const { return fields_.size(); }

 private:
  void add(std::string_view name, std::string_view value, uint8_t flags = NGHTTP2_NV_FLAG_NONE);
  void add_headers(const HeaderMap& headers, bool has_carried);
  void add_carried();
  void add_content_length(uint64_t length);

  const bool carries_http1_;
  CarriedWriter carried_;
  std::vector<nghttp2_nv> fields_;
  char status_[3] = {};
  char length_[20] = {};
};

}  // namespace pillion::http
