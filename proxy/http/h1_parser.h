// HTTP/1 messages out of a stream of bytes, by llhttp in its strict mode plus what strict does not refuse. Shared by
// the server and the client codec, which pull steps out of it:
//
//   begun ─ set_arena() ─► head ─ [set_framing()] ─► body* ─► [trailers] ─► end ─ restart() ─► begun …
//     need_more: show more bytes.   failed: error() says why, for good.
//
// A head is first collected whole in the arena (one copy; its end, its line ends and its size are watched octet by
// octet while it arrives), then parsed in one go, so that every view points into one block and no token is ever cut.
// A head that is whole in one read and plain goes a shorter way to the same end (h1_plain.h).
// Bodies are not copied. The steps do not depend on how the bytes were cut into reads, except where a body is divided.
#pragma once

#include <llhttp.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "proxy/base/arena.h"
#include "proxy/base/chain.h"
#include "proxy/base/error.h"
#include "proxy/http/codec.h"
#include "proxy/http/h1_head.h"
#include "proxy/http/message.h"

namespace pillion::http {

// Finds the end of a head or a trailer section: an empty line. Lines end in CRLF and nothing else; other control octets
// than the tab are refused as they come.
class HeadScanner {
 public:
  enum class Found : uint8_t { nothing, end, fault };
  // A trailer section may be empty, a head has a first line.
  void start(bool may_be_empty) { state_ = may_be_empty ? State::line_start : State::in_line; }
  // `used` is how much of `bytes` belongs to the section.
  Found scan(std::string_view bytes, size_t& used);

 private:
  enum class State : uint8_t { line_start, in_line, line_cr, last_cr };
  State state_ = State::in_line;
};

class H1Parser {
 public:
  enum class Kind : uint8_t { request, response };
  enum class Step : uint8_t { need_more, begun, head, body, trailers, end, failed };
  enum class Framing : uint8_t { none, length, chunked, until_close, tunnel };

  // Octets of chunk-size lines, extensions and line ends between two pieces of body data.
  static constexpr size_t kChunkOverheadMax = 4096;

  H1Parser(Kind kind, const CodecLimits& limits);
  H1Parser(const H1Parser&) = delete;
  H1Parser& operator=(const H1Parser&) = delete;

  Step next(Chain& in);
  // After `begun`: where the head is built; must live until restart().
  void set_arena(Arena& arena);

  // After `head`, once.
  RequestHead take_request();
  ResponseHead take_response();
  // After `head`: what follows it. A response's user corrects it by what it had asked; `tunnel` also later, in place of
  // `none`, once an upgrade was agreed.
  Framing framing() const { return framing_; }
  void set_framing(Framing framing);
  // After `head` and `body`: nothing follows in this message, so that the event can say so.
  bool is_over() const { return phase_ == Phase::ended; }
  Chain take_body() { return std::move(body_); }
  HeaderMap take_trailers();
  const Error& error() const { return error_; }

  // The peer's FIN. False if a message was cut short by it.
  bool finish();
  void restart();
  bool is_idle() const { return phase_ == Phase::idle; }

 private:
  enum class Phase : uint8_t { idle, head, body, trailers, ended, failed };
  struct Glue;     // llhttp's callbacks
  struct Message;  // what is only needed while a message is parsed: in its arena, so that an idle connection is small

  Step begin(Chain& in);
  Step read_head(Chain& in);
  bool read_plain(Chain& in);
  Step parse_head();
  bool is_start_line_spaced(const H1RawHead& raw) const;
  Step build_request();
  Step build_response();
  Step read_body(Chain& in);
  Step read_length(Chain& in);
  Step read_chunked(Chain& in);
  bool run_chunks(Chain& in);
  Step read_trailers(Chain& in);
  Step parse_trailers();
  // Collects what the scanner accepts. need_more, head (complete) or failed.
  Step collect(Chain& in);
  void keep(std::string_view piece, bool is_last);
  Step fail(const char* what, Code code = Code::bad_message);
  Step fail_too_large(const char* what, std::string_view offender);
  std::string_view last_line() const;

  const Kind kind_;
  const CodecLimits& limits_;
  Phase phase_ = Phase::idle;
  Framing framing_ = Framing::none;
  uint8_t leading_ = 0;  // octets of the one empty line before a request that were skipped
  HeadScanner scanner_;
  Arena* arena_ = nullptr;
  Message* message_ = nullptr;  // there is one from set_arena() to restart()
  Error error_;

  // The section being collected: a block of the arena that doubles when it is full.
  char* section_ = nullptr;
  size_t section_size_ = 0;
  size_t section_capacity_ = 0;

  uint64_t length_left_ = 0;
  Chain body_;
};

}  // namespace pillion::http
