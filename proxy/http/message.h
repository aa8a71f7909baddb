// The values that travel through the proxy: heads and header maps. They hold views into the arena of the exchange they
// belong to, so building, changing and dropping them costs no allocation of their own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "proxy/base/arena.h"

namespace pillion::http {

// Names that the proxy itself looks at. Finding one of these is a scan over small integers instead of strings.
// The spelling here is the lower-case one of HTTP/2.
// clang-format off
#define PILLION_HEADER_NAMES(X) \
  X(accept_encoding, "accept-encoding") \
  X(age, "age") \
  X(authorization, "authorization") \
  X(connection, "connection") \
  X(content_encoding, "content-encoding") \
  X(content_length, "content-length") \
  X(content_type, "content-type") \
  X(cookie, "cookie") \
  X(date, "date") \
  X(expect, "expect") \
  X(grpc_message, "grpc-message") \
  X(grpc_status, "grpc-status") \
  X(grpc_timeout, "grpc-timeout") \
  X(host, "host") \
  X(http2_settings, "http2-settings") \
  X(keep_alive, "keep-alive") \
  X(location, "location") \
  X(origin, "origin") \
  X(proxy_connection, "proxy-connection") \
  X(retry_after, "retry-after") \
  X(server, "server") \
  X(set_cookie, "set-cookie") \
  X(te, "te") \
  X(trailer, "trailer") \
  X(transfer_encoding, "transfer-encoding") \
  X(upgrade, "upgrade") \
  X(user_agent, "user-agent") \
  X(via, "via") \
  X(x_envoy_attempt_count, "x-envoy-attempt-count") \
  X(x_envoy_decorator_operation, "x-envoy-decorator-operation") \
  X(x_envoy_expected_rq_timeout_ms, "x-envoy-expected-rq-timeout-ms") \
  X(x_envoy_external_address, "x-envoy-external-address") \
  X(x_envoy_internal, "x-envoy-internal") \
  X(x_envoy_max_retries, "x-envoy-max-retries") \
  X(x_envoy_original_path, "x-envoy-original-path") \
  X(x_envoy_overloaded, "x-envoy-overloaded") \
  X(x_envoy_ratelimited, "x-envoy-ratelimited") \
  X(x_envoy_retry_grpc_on, "x-envoy-retry-grpc-on") \
  X(x_envoy_retry_on, "x-envoy-retry-on") \
  X(x_envoy_upstream_rq_per_try_timeout_ms, "x-envoy-upstream-rq-per-try-timeout-ms") \
  X(x_envoy_upstream_rq_timeout_ms, "x-envoy-upstream-rq-timeout-ms") \
  X(x_envoy_upstream_service_time, "x-envoy-upstream-service-time") \
  X(x_forwarded_client_cert, "x-forwarded-client-cert") \
  X(x_forwarded_for, "x-forwarded-for") \
  X(x_forwarded_host, "x-forwarded-host") \
  X(x_forwarded_port, "x-forwarded-port") \
  X(x_forwarded_proto, "x-forwarded-proto") \
  X(x_pillion_http1, "x-pillion-http1") \
  X(x_request_id, "x-request-id") \
  X(traceparent, "traceparent")
// clang-format on

enum class HeaderId : uint8_t {
  other,
#define X(id, text) id,
  PILLION_HEADER_NAMES(X)
#undef X
      kCount
};

HeaderId header_id(std::string_view name);  // case-insensitive
std::string_view header_name(HeaderId id);  // lower case; "" for other
bool equals_ignore_case(std::string_view a, std::string_view b);
bool is_token(std::string_view s);        // RFC 9110 5.6.2, not empty
bool is_field_value(std::string_view s);  // RFC 9110 5.5: no CR, LF, NUL; other controls are refused too

struct Header {
  std::string_view name;   // as it was spelled on HTTP/1; lower case from HTTP/2
  std::string_view value;  // without surrounding white space
  HeaderId id = HeaderId::other;
  // The codec that read it saw that the name is a token and the value a field value; who writes it need not look again.
  bool is_checked = false;
};

// The fields of a HeaderMap: in its arena, so that growing costs no allocation of its own.
class HeaderList {
 public:
  HeaderList() = default;
  HeaderList(HeaderList&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  HeaderList& operator=(HeaderList&& other) noexcept {
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }

  Header* begin() { return data_; }
  Header* end() { return data_ + size_; }
  const Header* begin() const { return data_; }
  const Header* end() const { return data_ + size_; }
  size_t size() const { return size_; }
  void push_back(Arena& arena, const Header& field) {
    if (size_ == capacity_) reserve(arena, size_ == 0 ? kFirst : 2 * size_);
    data_[size_++] = field;
  }
  void reserve(Arena& arena, size_t capacity) {
    if (capacity <= capacity_) return;
    auto* const larger = reinterpret_cast<Header*>(arena.allocate(capacity * sizeof(Header), alignof(Header)));
    std::uninitialized_copy(begin(), end(), larger);
    data_ = larger;
    capacity_ = static_cast<uint32_t>(capacity);
  }
  void truncate(Header* end) { size_ = static_cast<uint32_t>(end - data_); }

 private:
  static constexpr size_t kFirst = 16;
  Header* data_ = nullptr;
  uint32_t size_ = 0;
  uint32_t capacity_ = 0;
};

// An ordered list of fields. Repeated names stay separate fields, in order. Views point into arena().
class HeaderMap {
 public:
  explicit HeaderMap(Arena& arena) : arena_(&arena) {}
  HeaderMap(HeaderMap&&) = default;
  HeaderMap& operator=(HeaderMap&&) = default;
  HeaderMap(const HeaderMap& other) : arena_(other.arena_) { copy_fields(other); }
  HeaderMap& operator=(const HeaderMap& other) {
    arena_ = other.arena_;
    fields_ = HeaderList();
    copy_fields(other);
    return *this;
  }

  Arena& arena() const { return *arena_; }
  size_t size() const { return fields_.size(); }
  size_t bytes() const;  // names and values with 4 bytes of punctuation each, as HTTP/1 would write them
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  Header& operator[](size_t i) { return fields_.begin()[i]; }

  // The views are kept, not copied: they must live in the arena or be literals.
  void add(std::string_view name, std::string_view value) {
    fields_.push_back(*arena_, {name, value, header_id(name)});
  }
  // What a codec has read and looked at (Header::is_checked).
  void add_checked(std::string_view name, std::string_view value) {
    fields_.push_back(*arena_, {name, value, header_id(name), true});
  }
  void add_checked(HeaderId id, std::string_view value) {
    fields_.push_back(*arena_, {header_name(id), value, id, true});
  }
  void add(HeaderId id, std::string_view value) { fields_.push_back(*arena_, {header_name(id), value, id}); }
  void add_copy(std::string_view name, std::string_view value) { add(arena_->copy(name), arena_->copy(value)); }
  // Replaces the first field of that name, in its place, and removes the others; adds it where there was none.
  void set(HeaderId id, std::string_view value);
  void set(std::string_view name, std::string_view value);
  size_t remove(HeaderId id);
  size_t remove(std::string_view name);
  template <class Predicate>
  size_t remove_if(Predicate p) {
    Header* const kept = std::remove_if(fields_.begin(), fields_.end(), p);
    const auto removed = static_cast<size_t>(fields_.end() - kept);
    fields_.truncate(kept);
    return removed;
  }
  // Joins to the first field of that name with ",", or adds it.
  void append(HeaderId id, std::string_view value);

  const Header* find(HeaderId id) const;
  const Header* find(std::string_view name) const;
  bool has(HeaderId id) const { return find(id) != nullptr; }
  std::string_view get(HeaderId id) const;  // the first value; "" where there is none
  // All values of a name joined by "," — what a policy must look at (conformance.md 3.1 row 18). None if absent.
  std::optional<std::string_view> get_all(std::string_view name) const;
  void clear() { fields_.truncate(fields_.begin()); }
  void reserve(size_t n) { fields_.reserve(*arena_, n); }

 private:
  void copy_fields(const HeaderMap& other) {
    fields_.reserve(*arena_, other.size());
    for (const Header& field : other) fields_.push_back(*arena_, field);
  }
  Arena* arena_;
  HeaderList fields_;
};

enum class Version : uint8_t { http10, http11, http2 };
std::string_view name_of(Version v);  // "HTTP/1.1"

// Framing headers (connection, transfer-encoding, keep-alive, upgrade, te other than trailers, …) are not in `headers`:
// the codec took them and the next codec makes its own. Content-Length is kept as a number.
struct RequestHead {
  explicit RequestHead(Arena& arena) : headers(arena) {}
  std::string_view method;  // a token, as sent
  std::string_view scheme;  // "http" or "https"; from :scheme or an absolute target; "" = the owner asks the transport
  std::string_view authority;  // from :authority or Host; "" only from HTTP/1.0. Lower case is the router's business
  std::string_view path;       // origin form with query, "*" for OPTIONS, "" for CONNECT without a protocol
  std::string_view upgrade;    // HTTP/1 upgrade token or :protocol of extended CONNECT (RFC 8441); "" = none
  Version version = Version::http11;
  std::optional<uint64_t> content_length;
  bool expects_continue = false;  // expect: 100-continue, which is not in `headers`
  bool wants_close = false;       // HTTP/1: connection: close, or 1.0 without keep-alive
  bool te_trailers = false;
  HeaderMap headers;  // without Host
};

struct ResponseHead {
  explicit ResponseHead(Arena& arena) : headers(arena) {}
  uint16_t status = 0;
  Version version = Version::http11;
  std::string_view upgrade;  // 101: the token that was agreed
  std::optional<uint64_t> content_length;
  bool wants_close = false;  // HTTP/1: what the peer said. Not forwarded: each connection has its own life
  HeaderMap headers;
};

// Cuts the path into what is before '?' and the query after it.
std::string_view path_without_query(std::string_view path);
std::string_view query_of(std::string_view path);
bool is_grpc(const HeaderMap& headers);                              // content-type application/grpc, +proto, ;…
bool is_idempotent(std::string_view method);                         // RFC 9110 9.2.2
bool has_no_body(std::string_view request_method, uint16_t status);  // HEAD, 1xx, 204, 304

}  // namespace pillion::http
