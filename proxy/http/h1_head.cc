#include "proxy/http/h1_head.h"

#include <optional>
#include <utility>

#include "proxy/http/validate.h"

namespace pillion::http {
namespace {

// Options in one head's Connection fields. A handful is normal; each costs a scan over the headers.
constexpr size_t kConnectionOptionsMax = 16;

// What the framing fields of one head said.
struct Framing {
  bool close = false;
  bool keep_alive = false;
  bool upgrade_option = false;  // "connection: upgrade"
  bool chunked = false;
  bool te_trailers = false;
  bool expects_continue = false;
  size_t hosts = 0;
  std::string_view host;
  std::string_view upgrade;
  std::optional<uint64_t> content_length;
  size_t options = 0;
  std::string_view nominated[kConnectionOptionsMax];
};

std::unexpected<Error> refuse(Side side, const char* what, Code code = Code::bad_message) {
  return std::unexpected(Error{.code = code, .side = side, .what = what});
}

// The fields that a sender may not declare to be of one hop only: dropping them would change who the request is for,
// where it ends, or whom it is said to come from.
bool may_be_nominated(std::string_view name) {
  switch (header_id(name)) {
    case HeaderId::host:
    case HeaderId::content_length:
    case HeaderId::x_forwarded_for:
    case HeaderId::x_forwarded_host:
    case HeaderId::x_forwarded_proto:
    case HeaderId::x_forwarded_client_cert: return false;
    default: return true;
  }
}

const char* read_connection(std::string_view list, Framing& f) {
  while (!list.empty()) {
    const std::string_view option = next_element(list);
    if (option.empty()) continue;
    if (!is_token(option)) return "the Connection field is malformed";
    if (equals_ignore_case(option, "close")) {
      f.close = true;
    } else if (equals_ignore_case(option, "keep-alive")) {
      f.keep_alive = true;
    } else if (equals_ignore_case(option, "upgrade")) {
      f.upgrade_option = true;
    } else {
      if (!may_be_nominated(option)) return "the Connection field names an end-to-end field";
      if (f.options == kConnectionOptionsMax) return "too many Connection options";
      f.nominated[f.options++] = option;
    }
  }
  return nullptr;
}

const char* read_content_length(std::string_view value, Framing& f) {
  if (f.content_length) return "more than one Content-Length";
  f.content_length = parse_decimal(value);
  return f.content_length ? nullptr : "the Content-Length is malformed";
}

// Anything but one field with exactly "chunked" is where parsers disagree (RFC 9112 6.1, 11.2).
const char* read_transfer_encoding(std::string_view value, Framing& f) {
  if (f.chunked || !equals_ignore_case(value, "chunked")) return "the Transfer-Encoding is not exactly chunked";
  f.chunked = true;
  return nullptr;
}

// Appends to a list that is spread over several fields.
void join(Arena& arena, std::string_view& list, std::string_view more) {
  list = list.empty() ? more : arena.concat({list, ", ", more});
}

void read_te(std::string_view list, Framing& f) {
  while (!list.empty()) {
    const std::string_view element = next_element(list);
    if (equals_ignore_case(trim_ows(element.substr(0, element.find(';'))), "trailers")) f.te_trailers = true;
  }
}

const char* read_field(Arena& arena, const Header& h, Framing& f) {
  switch (h.id) {
    case HeaderId::connection: return read_connection(h.value, f);
    case HeaderId::content_length: return read_content_length(h.value, f);
    case HeaderId::transfer_encoding: return read_transfer_encoding(h.value, f);
    case HeaderId::host:
      ++f.hosts;
      f.host = h.value;
      return nullptr;
    case HeaderId::upgrade: join(arena, f.upgrade, h.value); return nullptr;
    case HeaderId::te: read_te(h.value, f); return nullptr;
    case HeaderId::expect: f.expects_continue = equals_ignore_case(h.value, "100-continue"); return nullptr;
    default: return nullptr;
  }
}

bool is_nominated(const Framing& f, const Header& h) {
  for (size_t i = 0; i < f.options; ++i) {
    if (equals_ignore_case(f.nominated[i], h.name)) return true;
  }
  return false;
}

// Reads the framing fields of a head and takes them out of it. `is_request`: Host and Expect mean something.
const char* take_framing(HeaderMap& fields, bool is_request, Framing& f) {
  const char* fault = nullptr;
  fields.remove_if([&](const Header& h) {
    if (h.id == HeaderId::other) return false;
    if (const char* found = read_field(fields.arena(), h, f); found != nullptr && fault == nullptr) fault = found;
    if (h.id == HeaderId::host) return is_request;
    return is_written_by_codec(h.id);
  });
  if (fault != nullptr) return fault;
  if (f.chunked && f.content_length) return "both Content-Length and Transfer-Encoding";
  if (is_request && f.expects_continue) fields.remove(HeaderId::expect);
  if (f.options > 0) fields.remove_if([&](const Header& h) { return is_nominated(f, h); });
  return nullptr;
}

// Takes "h2c" out of an Upgrade list: accepting it would let a request pass that nobody routed (conformance 3.1, 14).
std::string_view without_h2c(Arena& arena, std::string_view list) {
  if (!list_has(list, "h2c")) return list;
  std::string_view kept;
  while (!list.empty()) {
    const std::string_view element = next_element(list);
    if (!element.empty() && !equals_ignore_case(element, "h2c")) join(arena, kept, element);
  }
  return kept;
}

// http://host[:port][/path][?query] -> scheme, authority and path of the head (RFC 9112 3.2.2).
const char* read_absolute_target(Arena& arena, std::string_view target, RequestHead& head) {
  const size_t colon = target.find("://");
  if (colon == std::string_view::npos) return "the request target is malformed";
  const std::string_view scheme = target.substr(0, colon);
  if (equals_ignore_case(scheme, "http")) {
    head.scheme = "http";
  } else if (equals_ignore_case(scheme, "https")) {
    head.scheme = "https";
  } else {
    return "the scheme of the request target is not http";
  }
  const std::string_view rest = target.substr(colon + 3);
  const size_t end = rest.find_first_of("/?#");
  head.authority = rest.substr(0, end);
  head.path = end == std::string_view::npos ? std::string_view() : rest.substr(end);
  if (head.path.empty()) {
    head.path = head.method == "OPTIONS" ? "*" : "/";
  } else if (head.path[0] == '?') {
    head.path = arena.concat({"/", head.path});
  }
  return is_authority(head.authority) ? nullptr : "the authority of the request target is malformed";
}

const char* read_target(Arena& arena, std::string_view target, const Framing& f, RequestHead& head) {
  if (f.hosts > 1) return "more than one Host";
  if (f.hosts == 0 && head.version == Version::http11) return "no Host";
  if (f.hosts == 1 && !is_authority(f.host)) return "the Host is malformed";
  head.authority = f.host;
  if (head.method == "CONNECT") {
    head.authority = target;
    const bool has_port = target.rfind(':') != std::string_view::npos && target.back() != ':' && target.back() != ']';
    return is_authority(target) && has_port ? nullptr : "the target of CONNECT is no authority";
  }
  if (!target.empty() && (target[0] == '/' || target == "*")) {
    head.path = target;
  } else if (const char* fault = read_absolute_target(arena, target, head)) {
    return fault;
  }
  return is_request_path(head.path, head.method) ? nullptr : "the request target is malformed";
}

// An upgrade together with a body of the request would need both at once; RFC 9110 7.8 lets a server ignore it.
void read_upgrade(Arena& arena, const Framing& f, bool has_body, RequestHead& head) {
  if (!f.upgrade_option || has_body || head.version != Version::http11 || head.method == "CONNECT") return;
  head.upgrade = without_h2c(arena, f.upgrade);
}

}  // namespace

Expected<H1Request> make_h1_request(H1RawHead&& raw, const CodecLimits& limits) {
  constexpr Side kSide = Side::downstream;
  if (raw.minor == 0 && !limits.accept_http10) return refuse(kSide, "HTTP/1.0 is not accepted", Code::unsupported);
  Arena& arena = raw.fields.arena();
  Framing f;
  if (const char* fault = take_framing(raw.fields, true, f)) return refuse(kSide, fault);
  if (f.chunked && raw.minor == 0) return refuse(kSide, "Transfer-Encoding in HTTP/1.0");
  H1Request out{.head = RequestHead(arena), .chunked = f.chunked};
  RequestHead& head = out.head;
  head.method = raw.method;
  head.version = raw.minor == 0 ? Version::http10 : Version::http11;
  if (const char* fault = read_target(arena, raw.target, f, head)) return refuse(kSide, fault);
  const bool has_body = f.chunked || f.content_length.value_or(0) > 0;
  if (head.method == "CONNECT" && (f.chunked || f.content_length)) return refuse(kSide, "CONNECT with a body");
  read_upgrade(arena, f, has_body, head);
  head.content_length = f.content_length;
  head.expects_continue = f.expects_continue && has_body && raw.minor == 1;
  head.wants_close = f.close || (raw.minor == 0 && !f.keep_alive);
  head.te_trailers = f.te_trailers;
  head.headers = std::move(raw.fields);
  return out;
}

Expected<H1Response> make_h1_response(H1RawHead&& raw) {
  constexpr Side kSide = Side::upstream;
  if (raw.status < 100 || raw.status > 599) return refuse(kSide, "the status is out of range");
  Framing f;
  if (const char* fault = take_framing(raw.fields, false, f)) return refuse(kSide, fault);
  if (f.chunked && raw.minor == 0) return refuse(kSide, "Transfer-Encoding in HTTP/1.0");
  if (raw.status < 200 && (f.chunked || f.content_length))
    return refuse(kSide, "an informational response with a body");
  H1Response out{.head = ResponseHead(raw.fields.arena()), .chunked = f.chunked};
  ResponseHead& head = out.head;
  head.status = raw.status;
  head.version = raw.minor == 0 ? Version::http10 : Version::http11;
  if (raw.status == 101 && f.upgrade_option) head.upgrade = f.upgrade;
  head.content_length = f.content_length;
  head.wants_close = f.close || (raw.minor == 0 && !f.keep_alive);
  head.headers = std::move(raw.fields);
  return out;
}

}  // namespace pillion::http
