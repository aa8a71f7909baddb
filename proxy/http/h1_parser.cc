#include "proxy/http/h1_parser.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <variant>

#include "proxy/base/check.h"
#include "proxy/http/h1_plain.h"
#include "proxy/http/octets.h"
#include "proxy/http/validate.h"

namespace pillion::http {

// === the end of a section ===

HeadScanner::Found HeadScanner::scan(std::string_view bytes, size_t& used) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (state_ == State::in_line) {
      i += plain_prefix(bytes.substr(i));
      used = i;
      if (i == bytes.size()) break;
    }
    const auto c = static_cast<unsigned char>(bytes[i]);
    used = i + 1;
    if (state_ == State::line_cr || state_ == State::last_cr) {
      if (c != '\n') return Found::fault;
      if (state_ == State::last_cr) return Found::end;
      state_ = State::line_start;
    } else if (c == '\r') {
      state_ = state_ == State::line_start ? State::last_cr : State::line_cr;
    } else if ((c < 0x20 && c != '\t') || c == 0x7f) {
      return Found::fault;
    } else {
      state_ = State::in_line;
    }
  }
  return Found::nothing;
}

// === one message ===

struct H1Parser::Message {
  explicit Message(Arena& arena) : raw(arena) {}

  llhttp_t llhttp;
  bool complete = false;  // llhttp saw the end of the section that it was given
  bool too_many = false;  // more fields than the limit

  // The tokens of the section being parsed.
  H1RawHead raw;
  std::string_view version;
  std::string_view protocol;
  std::string_view name;
  std::string_view value;

  std::variant<std::monostate, RequestHead, ResponseHead> head;
  std::optional<HeaderMap> trailers;

  Chain* input = nullptr;        // during run_chunks(): where the callback takes the body from,
  const char* cursor = nullptr;  // and up to where it has
  size_t overhead = 0;
};

void H1Parser::set_arena(Arena& arena) {
  static_assert(std::is_trivially_destructible_v<Message>);
  arena_ = &arena;
  message_ = new (arena.allocate(sizeof(Message), alignof(Message))) Message(arena);
}

RequestHead H1Parser::take_request() {
  return std::get<RequestHead>(std::move(message_->head));
}

ResponseHead H1Parser::take_response() {
  return std::get<ResponseHead>(std::move(message_->head));
}

HeaderMap H1Parser::take_trailers() {
  return std::move(*message_->trailers);
}

// === llhttp ===

struct H1Parser::Glue {
  static H1Parser& of(llhttp_t* p) { return *static_cast<H1Parser*>(p->data); }

  // A section is parsed in one call, so the pieces of a token, should there be several, are neighbours.
  static void grow(std::string_view& token, const char* at, size_t n) {
    token = token.data() == nullptr ? std::string_view(at, n)
                                    : std::string_view(token.data(), static_cast<size_t>(at + n - token.data()));
  }

  static int on_url(llhttp_t* p, const char* at, size_t n) { return grow(of(p).message_->raw.target, at, n), 0; }
  static int on_protocol(llhttp_t* p, const char* at, size_t n) { return grow(of(p).message_->protocol, at, n), 0; }
  static int on_version(llhttp_t* p, const char* at, size_t n) { return grow(of(p).message_->version, at, n), 0; }
  static int on_field(llhttp_t* p, const char* at, size_t n) { return grow(of(p).message_->name, at, n), 0; }
  static int on_value(llhttp_t* p, const char* at, size_t n) { return grow(of(p).message_->value, at, n), 0; }

  static int on_value_complete(llhttp_t* p) {
    H1Parser& self = of(p);
    HeaderMap& fields = self.message_->raw.fields;
    if (fields.size() >= self.limits_.headers_max) {
      self.message_->too_many = true;
      return -1;
    }
    fields.add_checked(self.message_->name, trim_ows(self.message_->value));
    self.message_->name = self.message_->value = {};
    return 0;
  }

  static int on_headers_complete(llhttp_t* p) {
    of(p).message_->complete = true;
    p->upgrade = 0;  // who upgrades is decided by our reading of Connection, and by the answer
    return HPE_PAUSED;
  }

  static int on_message_complete(llhttp_t* p) {
    of(p).message_->complete = true;
    return HPE_PAUSED;
  }

  // The last chunk: what follows is a section again, and is collected like a head.
  static int on_chunk_header(llhttp_t* p) { return p->content_length == 0 ? HPE_PAUSED : 0; }

  static int on_body(llhttp_t* p, const char* at, size_t n) {
    H1Parser& self = of(p);
    const auto skipped = static_cast<size_t>(at - self.message_->cursor);
    if (self.message_->overhead + skipped > kChunkOverheadMax) return -1;
    self.message_->overhead = 0;
    // The slice that llhttp reads from stays alive: body_ takes a reference, and what is behind it is not drained.
    self.message_->input->drain(skipped);
    self.message_->input->move_front(n, self.body_);
    self.message_->cursor = at + n;
    return 0;
  }

  static llhttp_settings_t settings() {
    llhttp_settings_t s;
    llhttp_settings_init(&s);
    s.on_url = on_url;
    s.on_protocol = on_protocol;
    s.on_version = on_version;
    s.on_header_field = on_field;
    s.on_header_value = on_value;
    s.on_header_value_complete = on_value_complete;
    s.on_headers_complete = on_headers_complete;
    s.on_message_complete = on_message_complete;
    s.on_chunk_header = on_chunk_header;
    s.on_body = on_body;
    return s;
  }
  static const llhttp_settings_t kSettings;
};

const llhttp_settings_t H1Parser::Glue::kSettings = H1Parser::Glue::settings();

// === steps ===

H1Parser::H1Parser(Kind kind, const CodecLimits& limits) : kind_(kind), limits_(limits) {}

H1Parser::Step H1Parser::next(Chain& in) {
  switch (phase_) {
    case Phase::idle: return begin(in);
    case Phase::head: return read_head(in);
    case Phase::body: return read_body(in);
    case Phase::trailers: return read_trailers(in);
    case Phase::ended: return Step::end;
    case Phase::failed: return Step::failed;
  }
  return Step::failed;
}

void H1Parser::restart() {
  phase_ = Phase::idle;
  framing_ = Framing::none;
  leading_ = 0;
  arena_ = nullptr;
  message_ = nullptr;
  body_.clear();
}

bool H1Parser::finish() {
  if (phase_ == Phase::body && (framing_ == Framing::until_close || framing_ == Framing::tunnel)) phase_ = Phase::ended;
  return phase_ == Phase::ended || (phase_ == Phase::idle && leading_ != 1);
}

H1Parser::Step H1Parser::fail(const char* what, Code code) {
  phase_ = Phase::failed;
  error_ = {.code = code, .side = kind_ == Kind::request ? Side::downstream : Side::upstream, .what = what};
  return Step::failed;
}

H1Parser::Step H1Parser::begin(Chain& in) {
  // RFC 9112 2.2: one empty line in front of a request line is tolerated.
  while (!in.empty()) {
    const char c = in.front()[0];
    if (c != '\r' && c != '\n') {
      if (leading_ == 1) return fail("a bare CR before the request");
      phase_ = Phase::head;
      scanner_.start(false);
      section_ = nullptr;
      section_size_ = section_capacity_ = 0;
      return Step::begun;
    }
    const char wanted[] = {'\r', '\n'};
    if (kind_ == Kind::response || leading_ == 2 || c != wanted[leading_])
      return fail("an empty line before the message");
    ++leading_;
    in.drain(1);
  }
  return Step::need_more;
}

void H1Parser::keep(std::string_view piece, bool is_last) {
  constexpr size_t kFirst = 512;
  const size_t needed = section_size_ + piece.size();
  if (needed > section_capacity_) {
    // A section that came in one read gets a block of its size; one that trickles in doubles, so that neither its bytes
    // nor the arena's grow with the square of the number of reads.
    const size_t capacity = is_last ? needed : std::max({needed, 2 * section_capacity_, kFirst});
    char* const block = arena_->allocate(capacity);
    if (section_size_ > 0) std::memcpy(block, section_, section_size_);
    section_ = block;
    section_capacity_ = capacity;
  }
  std::memcpy(section_ + section_size_, piece.data(), piece.size());
  section_size_ = needed;
}

// Of what was collected: the line in which the limit was met. Empty while it is the first.
std::string_view H1Parser::last_line() const {
  const std::string_view all(section_, section_size_);
  const size_t end = all.rfind('\n');
  return end == std::string_view::npos ? std::string_view() : all.substr(end + 1);
}

// Whose field it was that crossed the limit; the text lives in the stream's arena, as the error's readers do.
H1Parser::Step H1Parser::fail_too_large(const char* what, std::string_view offender) {
  const std::string_view name = offender.substr(0, std::min(offender.find(':'), kOffenderBytesMax));
  const std::string_view shown = is_token(name) ? name : "the start line";
  return fail(arena_->concat({what, ": ", shown, std::string_view("\0", 1)}).data(), Code::head_too_large);
}

H1Parser::Step H1Parser::collect(Chain& in) {
  PILLION_DCHECK(arena_ != nullptr);
  while (!in.empty()) {
    const std::string_view piece = in.front().substr(0, limits_.head_bytes_max - section_size_);
    if (piece.empty()) return fail_too_large("the head is larger than the limit", last_line());
    size_t used = 0;
    const HeadScanner::Found found = scanner_.scan(piece, used);
    if (found == HeadScanner::Found::fault) return fail("a control octet or a bare line end in the head");
    keep(piece.substr(0, used), found == HeadScanner::Found::end);
    in.drain(used);
    if (found == HeadScanner::Found::end) return Step::head;
  }
  return Step::need_more;
}

// === head ===

H1Parser::Step H1Parser::read_head(Chain& in) {
  if (section_size_ == 0 && !in.empty() && read_plain(in)) {
    return kind_ == Kind::request ? build_request() : build_response();
  }
  const Step step = collect(in);
  return step == Step::head ? parse_head() : step;
}

bool H1Parser::read_plain(Chain& in) {
  const std::string_view bytes = in.front();
  H1PlainHead head;
  const bool is_plain = kind_ == Kind::request ? read_plain_request(bytes, head) : read_plain_response(bytes, head);
  if (!is_plain || head.bytes > limits_.head_bytes_max || head.fields > limits_.headers_max) return false;
  const char* const block = arena_->copy(bytes.substr(0, head.bytes)).data();
  H1RawHead& raw = message_->raw = H1RawHead(*arena_);
  raw.method = head.method;
  raw.target = head.target.of(block);
  raw.status = head.status;
  raw.fields.reserve(head.fields);
  for (size_t i = 0; i < head.fields; ++i) raw.fields.add_checked(head.names[i].of(block), head.values[i].of(block));
  in.drain(head.bytes);
  return true;
}

// llhttp is generous with spaces in the start line, and knows protocols of other names.
bool H1Parser::is_start_line_spaced(const H1RawHead& raw) const {
  if (message_->protocol != "HTTP" || (message_->version != "1.1" && message_->version != "1.0")) return false;
  if (kind_ == Kind::response) {
    const std::string_view line(section_, section_size_);
    return message_->version.data() == section_ + 5 && line.substr(8, 1) == " " && line.size() > 12 &&
           (line[12] == ' ' || line[12] == '\r');
  }
  return raw.target.data() == section_ + raw.method.size() + 1 &&
         message_->version.data() == raw.target.data() + raw.target.size() + 1 + message_->protocol.size() + 1;
}

H1Parser::Step H1Parser::parse_head() {
  llhttp_init(&message_->llhttp, kind_ == Kind::request ? HTTP_REQUEST : HTTP_RESPONSE, &Glue::kSettings);
  message_->llhttp.data = this;
  message_->raw = H1RawHead(*arena_);
  message_->version = message_->protocol = message_->name = message_->value = {};
  message_->complete = message_->too_many = false;
  const llhttp_errno_t result = llhttp_execute(&message_->llhttp, section_, section_size_);
  if (message_->too_many) return fail_too_large("more headers than the limit", message_->name);
  if (result != HPE_PAUSED || !message_->complete ||
      llhttp_get_error_pos(&message_->llhttp) != section_ + section_size_) {
    return fail(llhttp_errno_name(result == HPE_PAUSED ? HPE_INTERNAL : result));
  }
  llhttp_resume(&message_->llhttp);
  if (kind_ == Kind::request)
    message_->raw.method = llhttp_method_name(static_cast<llhttp_method_t>(message_->llhttp.method));
  message_->raw.status = message_->llhttp.status_code;
  message_->raw.minor = message_->llhttp.http_minor;
  if (!is_start_line_spaced(message_->raw)) return fail("the start line is malformed");
  return kind_ == Kind::request ? build_request() : build_response();
}

H1Parser::Step H1Parser::build_request() {
  Expected<H1Request> made = make_h1_request(std::move(message_->raw), limits_);
  if (!made) return fail(made.error().what, made.error().code);
  RequestHead& head = message_->head.emplace<RequestHead>(std::move(made->head));
  if (made->chunked) {
    set_framing(Framing::chunked);
  } else if (head.content_length.value_or(0) > 0) {
    length_left_ = *head.content_length;
    set_framing(Framing::length);
  } else {
    set_framing(Framing::none);
  }
  return Step::head;
}

H1Parser::Step H1Parser::build_response() {
  Expected<H1Response> made = make_h1_response(std::move(message_->raw));
  if (!made) return fail(made.error().what, made.error().code);
  ResponseHead& head = message_->head.emplace<ResponseHead>(std::move(made->head));
  if (made->chunked) {
    set_framing(Framing::chunked);
  } else if (head.content_length) {
    length_left_ = *head.content_length;
    set_framing(length_left_ > 0 ? Framing::length : Framing::none);
  } else {
    set_framing(Framing::until_close);
  }
  return Step::head;
}

void H1Parser::set_framing(Framing framing) {
  framing_ = framing;
  phase_ = framing == Framing::none ? Phase::ended : Phase::body;
}

// === body ===

H1Parser::Step H1Parser::read_body(Chain& in) {
  if (framing_ == Framing::chunked) return read_chunked(in);
  if (in.empty()) return Step::need_more;
  if (framing_ == Framing::length) return read_length(in);
  body_.append(std::move(in));
  return Step::body;
}

H1Parser::Step H1Parser::read_length(Chain& in) {
  const auto n = static_cast<size_t>(std::min<uint64_t>(length_left_, in.size()));
  in.move_front(n, body_);
  length_left_ -= n;
  if (length_left_ == 0) phase_ = Phase::ended;
  return Step::body;
}

H1Parser::Step H1Parser::read_chunked(Chain& in) {
  while (!in.empty() && phase_ == Phase::body) {
    if (!run_chunks(in)) break;
  }
  // What came before a fault is passed on first, as it would have been in smaller reads.
  if (!body_.empty()) return Step::body;
  if (phase_ == Phase::trailers) return read_trailers(in);
  return phase_ == Phase::failed ? Step::failed : Step::need_more;
}

// One slice through llhttp. False when the chunks are over, by the last one or by a fault.
bool H1Parser::run_chunks(Chain& in) {
  const std::string_view slice = in.front();
  message_->input = &in;
  message_->cursor = slice.data();
  const llhttp_errno_t result = llhttp_execute(&message_->llhttp, slice.data(), slice.size());
  message_->input = nullptr;
  if (result != HPE_OK && result != HPE_PAUSED) {
    fail("the chunked coding is malformed");
    return false;
  }
  const char* const stop = result == HPE_OK ? slice.data() + slice.size() : llhttp_get_error_pos(&message_->llhttp);
  const auto rest = static_cast<size_t>(stop - message_->cursor);
  in.drain(rest);
  message_->overhead += rest;
  if (message_->overhead > kChunkOverheadMax) {
    fail("more chunk extensions than the limit");
    return false;
  }
  if (result == HPE_OK) return true;
  llhttp_resume(&message_->llhttp);
  phase_ = Phase::trailers;
  scanner_.start(true);
  section_ = nullptr;
  section_size_ = section_capacity_ = 0;
  return false;
}

// === trailers ===

H1Parser::Step H1Parser::read_trailers(Chain& in) {
  const Step step = collect(in);
  return step == Step::head ? parse_trailers() : step;
}

H1Parser::Step H1Parser::parse_trailers() {
  message_->raw = H1RawHead(*arena_);
  message_->name = message_->value = {};
  message_->complete = message_->too_many = false;
  const llhttp_errno_t result = llhttp_execute(&message_->llhttp, section_, section_size_);
  if (message_->too_many) return fail_too_large("more trailers than the limit", message_->name);
  if (result != HPE_PAUSED || !message_->complete ||
      llhttp_get_error_pos(&message_->llhttp) != section_ + section_size_) {
    return fail("the trailers are malformed");
  }
  for (const Header& h : message_->raw.fields) {
    if (!may_be_trailer(h)) return fail("a trailer that frames, routes or authenticates");
  }
  phase_ = Phase::ended;
  if (message_->raw.fields.size() == 0) return Step::end;
  message_->trailers.emplace(std::move(message_->raw.fields));
  return Step::trailers;
}

}  // namespace pillion::http
