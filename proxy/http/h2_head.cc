#include "proxy/http/h2_head.h"

#include <charconv>
#include <cstring>
#include <utility>

#include "proxy/http/validate.h"

namespace pillion::http {
namespace {

std::unexpected<Error> refuse(Side side, const char* what) {
  return std::unexpected(Error{.code = Code::bad_message, .side = side, .what = what});
}

// Values that differ in each message would only push useful entries out of the dynamic table. The time of an endpoint
// is mostly one digit, and a date serves all answers of a second.
uint8_t index_flags(const Header& field) {
  switch (field.id) {
    case HeaderId::x_request_id:
    case HeaderId::traceparent: return NGHTTP2_NV_FLAG_NO_INDEX;
    case HeaderId::x_envoy_upstream_service_time:
      return field.value.size() == 1 ? NGHTTP2_NV_FLAG_NONE : NGHTTP2_NV_FLAG_NO_INDEX;
    default: return NGHTTP2_NV_FLAG_NONE;
  }
}

}  // namespace

// === in ===

bool H2Block::add(std::string_view name, std::string_view value, const CodecLimits& limits) {
  const HeaderId id = header_id(name);
  if (id == HeaderId::x_pillion_http1) return add_carried(value, limits);
  bytes_ += name.size() + value.size() + 4;
  if (too_large_) return false;
  if (bytes_ > limits.head_bytes_max) return outgrow(name);
  Arena& arena = fields_.arena();
  if (!name.empty() && name[0] == ':') {
    add_pseudo(name, arena.copy(value));
    return true;
  }
  if (fields_.size() >= limits.headers_max) return outgrow(name);
  // nghttp2 lets only tokens and field values pass.
  if (id != HeaderId::other) {
    fields_.add_checked(id, arena.copy(value));
  } else {
    fields_.add_checked(arena.copy(name), arena.copy(value));
  }
  return true;
}

bool H2Block::outgrow(std::string_view name) {
  too_large_ = true;
  offender_ = fields_.arena().copy(name.substr(0, kOffenderBytesMax));
  return false;
}

const char* H2Block::too_large() const {
  if (offender_.empty()) return "the head is larger than the limit";
  return fields_.arena().concat({"the head is larger than the limit: ", offender_, std::string_view("\0", 1)}).data();
}

// It says the names once more, so it has a limit of its own. From anybody else it is dropped, and counted as what he
// has made us decode.
bool H2Block::add_carried(std::string_view value, const CodecLimits& limits) {
  if (!limits.carries_http1 || !carried_.empty() || value.size() > kCarriedBytesMax) {
    bytes_ += header_name(HeaderId::x_pillion_http1).size() + value.size() + 4;
    if (bytes_ > limits.head_bytes_max || value.size() > kCarriedBytesMax) too_large_ = true;
    carried_twice_ = carried_twice_ || !carried_.empty();
    return !too_large_;
  }
  carried_ = fields_.arena().copy(value);
  return true;
}

// First of all that is done with a block: the value counts its fields.
const char* H2Block::take_carried(Version& version) {
  if (carried_twice_) return "more than one field with the spelling of names";
  return carried_.empty() ? nullptr : apply_carried(carried_, fields_, version);
}

void H2Block::add_pseudo(std::string_view name, std::string_view value) {
  if (name == ":method") {
    method_ = value;
  } else if (name == ":scheme") {
    scheme_ = value;
  } else if (name == ":authority") {
    authority_ = value;
  } else if (name == ":path") {
    path_ = value;
  } else if (name == ":protocol") {
    protocol_ = value;
  } else if (name == ":status") {
    status_ = value;
  }
}

uint16_t H2Block::status() const {
  const std::optional<uint64_t> n = status_.size() == 3 ? parse_decimal(status_) : std::nullopt;
  return static_cast<uint16_t>(n.value_or(0));
}

// RFC 9113 8.3.1: :authority, or Host where there is none; both are the same or the message is malformed.
const char* H2Block::take_authority(RequestHead& head) {
  const Header* host = fields_.find(HeaderId::host);
  head.authority = authority_;
  if (host != nullptr) {
    if (authority_.empty()) head.authority = host->value;
    if (!equals_ignore_case(host->value, head.authority)) return "the Host differs from :authority";
    if (fields_.remove(HeaderId::host) > 1) return "more than one Host";
  }
  return nullptr;
}

// RFC 9113 8.2.3: the crumbs are one field wherever HTTP/1 or a policy looks at them.
void H2Block::join_cookies() {
  size_t count = 0;
  size_t bytes = 0;
  for (const Header& h : fields_) {
    if (h.id != HeaderId::cookie) continue;
    ++count;
    bytes += h.value.size() + 2;
  }
  if (count < 2) return;
  char* const joined = fields_.arena().allocate(bytes);
  char* at = joined;
  for (const Header& h : fields_) {
    if (h.id != HeaderId::cookie) continue;
    if (at != joined) {
      *at++ = ';';
      *at++ = ' ';
    }
    std::memcpy(at, h.value.data(), h.value.size());
    at += h.value.size();
  }
  fields_.set(HeaderId::cookie, {joined, static_cast<size_t>(at - joined)});
}

void H2Block::take_framing(RequestHead& head, bool end) {
  if (const Header* length = fields_.find(HeaderId::content_length)) head.content_length = parse_decimal(length->value);
  if (const Header* te = fields_.find(HeaderId::te)) head.te_trailers = equals_ignore_case(te->value, "trailers");
  const Header* expect = fields_.find(HeaderId::expect);
  if (expect != nullptr && equals_ignore_case(expect->value, "100-continue")) {
    head.expects_continue = !end;
    fields_.remove(HeaderId::expect);
  }
  fields_.remove_if([](const Header& h) { return is_written_by_codec(h.id); });
}

// What nghttp2 lets pass although HTTP/1 could not say it, or would say something else with it.
const char* H2Block::check(const RequestHead& head) const {
  if (!is_token(method_)) return "the method is not a token";
  if (!head.authority.empty() && !is_authority(head.authority)) return "the authority is malformed";
  if (method_ == "CONNECT" && protocol_.empty()) {
    return head.authority.empty() ? "CONNECT without an authority" : nullptr;
  }
  if (scheme_ != "http" && scheme_ != "https") return "the scheme is not http";
  if (!protocol_.empty() && !is_protocol(protocol_)) return "the protocol is malformed";
  if (head.authority.empty()) return "no authority";
  return is_request_path(path_, method_) ? nullptr : "the path is malformed";
}

Expected<RequestHead> H2Block::take_request(bool end) {
  RequestHead head(fields_.arena());
  head.version = Version::http2;
  if (const char* fault = take_carried(head.version)) return refuse(Side::downstream, fault);
  if (const char* fault = take_authority(head)) return refuse(Side::downstream, fault);
  if (const char* fault = check(head)) return refuse(Side::downstream, fault);
  take_framing(head, end);
  head.method = protocol_.empty() ? method_ : "GET";
  head.upgrade = protocol_;
  if (head.version == Version::http2) {
    join_cookies();
    head.scheme = scheme_;
  } else if (carried_.front() == 'n') {
    head.authority = {};
  }
  head.path = path_;
  head.headers = std::move(fields_);
  return head;
}

Expected<ResponseHead> H2Block::take_response() {
  ResponseHead head(fields_.arena());
  if (const char* fault = take_carried(head.version)) return refuse(Side::upstream, fault);
  head.version = Version::http2;
  head.status = status();
  if (head.status < 100 || head.status > 599) return refuse(Side::upstream, "the status is out of range");
  if (const Header* length = fields_.find(HeaderId::content_length)) head.content_length = parse_decimal(length->value);
  fields_.remove_if([](const Header& h) { return h.id == HeaderId::content_length || is_connection_specific(h.id); });
  head.headers = std::move(fields_);
  return head;
}

Expected<HeaderMap> H2Block::take_trailers() {
  Version ignored{};
  if (const char* fault = take_carried(ignored)) return refuse(Side::local, fault);
  for (const Header& h : fields_) {
    if (!may_be_trailer(h)) return refuse(Side::local, "a trailer that frames, routes or authenticates");
  }
  return std::move(fields_);
}

// === out ===

void H2Fields::add(std::string_view name, std::string_view value, uint8_t flags) {
  auto octets = [](std::string_view s) { return reinterpret_cast<uint8_t*>(const_cast<char*>(s.data())); };
  fields_.push_back({octets(name), octets(value), name.size(), value.size(), flags});
}

// `has_carried`: carried_ was started for this block.
void H2Fields::add_headers(const HeaderMap& headers, bool has_carried) {
  for (const Header& h : headers) {
    if (is_written_by_codec(h.id)) continue;
    add(h.name, h.value, index_flags(h));
    if (has_carried) carried_.add(h.name);
  }
}

void H2Fields::add_carried() {
  const std::string_view value = carried_.value();
  add(header_name(HeaderId::x_pillion_http1), value,
      value.size() > kCarriedIndexedBytesMax ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE);
}

void H2Fields::add_content_length(uint64_t length) {
  const char* const end = std::to_chars(length_, length_ + sizeof length_, length).ptr;
  add("content-length", {length_, static_cast<size_t>(end - length_)});
}

void H2Fields::set_request(const RequestHead& head) {
  fields_.clear();
  const bool is_plain_connect = head.method == "CONNECT" && head.upgrade.empty();
  add(":method", head.upgrade.empty() ? head.method : "CONNECT");
  if (!head.upgrade.empty()) add(":protocol", head.upgrade);
  if (!is_plain_connect) {
    add(":scheme", head.scheme.empty() ? "http" : head.scheme);
    add(":path", head.path);
  }
  const bool has_carried = carries_http1_ && head.version != Version::http2;
  if (has_carried) carried_.start(head);
  if (!head.authority.empty()) {
    add(":authority", head.authority);
  } else if (has_carried) {
    add(":authority", kNoAuthority);
  }
  add_headers(head.headers, has_carried);
  if (has_carried) add_carried();
  if (head.te_trailers) add("te", "trailers");
  if (head.expects_continue) add("expect", "100-continue");
  if (head.content_length && !is_plain_connect && head.upgrade.empty()) add_content_length(*head.content_length);
}

void H2Fields::set_response(const ResponseHead& head, bool starts_tunnel) {
  fields_.clear();
  const uint16_t status = head.status == 101 ? 200 : head.status;
  status_[0] = static_cast<char>('0' + status / 100);
  status_[1] = static_cast<char>('0' + status / 10 % 10);
  status_[2] = static_cast<char>('0' + status % 10);
  add(":status", {status_, 3});
  if (carries_http1_) carried_.start();
  add_headers(head.headers, carries_http1_);
  if (carries_http1_ && carried_.has_names()) add_carried();
  if (head.content_length && status >= 200 && status != 204 && !starts_tunnel) add_content_length(*head.content_length);
}

void H2Fields::set_trailers(const HeaderMap& trailers) {
  fields_.clear();
  if (carries_http1_) carried_.start();
  for (const Header& h : trailers) {
    if (!may_be_trailer(h)) continue;
    add(h.name, h.value);
    if (carries_http1_) carried_.add(h.name);
  }
  if (carries_http1_ && carried_.has_names()) add_carried();
}

}  // namespace pillion::http
