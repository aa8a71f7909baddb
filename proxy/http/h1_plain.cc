#include "proxy/http/h1_plain.h"

#include "proxy/http/message.h"
#include "proxy/http/octets.h"

namespace pillion::http {
namespace {

using Span = H1PlainHead::Span;

constexpr size_t kContentLengthDigitsMax = 15;
constexpr size_t kHeadBytesMax = 1024 * 1024;  // offsets are small integers

// What a cursor stands on is not past the end: the last octets of a head are CRLF CRLF, and each step looks before it
// goes.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : begin_(bytes.data()), at_(begin_), end_(begin_ + bytes.size()) {}

  uint32_t offset() const { return static_cast<uint32_t>(at_ - begin_); }
  bool take(std::string_view text) {
    if (static_cast<size_t>(end_ - at_) < text.size() || std::memcmp(at_, text.data(), text.size()) != 0) return false;
    at_ += text.size();
    return true;
  }
  bool is_at(char c) const { return at_ != end_ && *at_ == c; }
  template <class Predicate>
  Span take_while(Predicate p) {
    const uint32_t begin = offset();
    while (at_ != end_ && p(*at_)) ++at_;
    return {begin, offset()};
  }
  // Up to the CR of a line, without the white space at both ends.
  bool take_value(Span& value) {
    while (at_ != end_ && is_space(*at_)) ++at_;
    value.begin = offset();
    do {
      at_ += plain_prefix({at_, static_cast<size_t>(end_ - at_)});
    } while (at_ != end_ && *at_ == '\t' && ++at_ != end_);
    const char* last = at_;
    while (last != begin_ + value.begin && is_space(last[-1])) --last;
    value.end = static_cast<uint32_t>(last - begin_);
    return take("\r\n");
  }

 private:
  static bool is_space(char c) { return c == ' ' || c == '\t'; }
  const char* const begin_;
  const char* at_;
  const char* const end_;
};

bool is_target_char(char c) {
  return c > 0x20 && c < 0x7f && c != '#';
}

bool is_plain_length(std::string_view value) {
  if (value.empty() || value.size() > kContentLengthDigitsMax) return false;
  for (const char c : value) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

// A first letter and a length tell the two fields that frame a body from nearly all others.
bool may_be_framing(std::string_view name) {
  return (name.size() == 14 && (name[0] | 0x20) == 'c') || (name.size() == 17 && (name[0] | 0x20) == 't');
}

bool read_fields(std::string_view bytes, Cursor& at, H1PlainHead& head) {
  bool has_length = false;
  head.fields = 0;
  while (!at.is_at('\r')) {
    if (head.fields == H1PlainHead::kFieldsMax) return false;
    const Span name = at.take_while(is_token_char);
    Span& value = head.values[head.fields];
    if (name.begin == name.end || !at.take(":") || !at.take_value(value)) return false;
    const std::string_view text = name.of(bytes.data());
    if (may_be_framing(text)) {
      const HeaderId id = header_id(text);
      if (id == HeaderId::transfer_encoding) return false;
      if (id == HeaderId::content_length) {
        if (has_length || !is_plain_length(value.of(bytes.data()))) return false;
        // llhttp knows only spaces behind the digits.
        if (bytes.substr(name.end, at.offset() - name.end).find('\t') != std::string_view::npos) return false;
        has_length = true;
      }
    }
    head.names[head.fields++] = name;
  }
  if (!at.take("\r\n")) return false;
  head.bytes = at.offset();
  return true;
}

}  // namespace

bool read_plain_request(std::string_view bytes, H1PlainHead& head) {
  bytes = bytes.substr(0, kHeadBytesMax);
  Cursor at(bytes);
  for (const std::string_view method : {"GET ", "POST ", "PUT ", "HEAD ", "DELETE ", "PATCH ", "OPTIONS "}) {
    if (!at.take(method)) continue;
    head.method = method.substr(0, method.size() - 1);
    if (!at.is_at('/')) return false;
    head.target = at.take_while(is_target_char);
    return at.take(" HTTP/1.1\r\n") && read_fields(bytes, at, head);
  }
  return false;
}

bool read_plain_response(std::string_view bytes, H1PlainHead& head) {
  bytes = bytes.substr(0, kHeadBytesMax);
  Cursor at(bytes);
  if (!at.take("HTTP/1.1 ")) return false;
  const Span code = at.take_while([](char c) { return c >= '0' && c <= '9'; });
  if (code.end - code.begin != 3) return false;
  const char* const digits = bytes.data() + code.begin;
  head.status = static_cast<uint16_t>((digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0'));
  if (head.status < 200 || head.status > 599) return false;
  Span reason;
  if (!at.is_at('\r') && !at.is_at(' ')) return false;
  return at.take_value(reason) && read_fields(bytes, at, head);
}

}  // namespace pillion::http
