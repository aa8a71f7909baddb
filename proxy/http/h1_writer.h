// The bytes of HTTP/1 messages. The caller has checked the heads (find_fault) and decided the framing; the framing
// fields are written anew here, and those in a header map, should a filter have put them there, are left out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "proxy/base/chain.h"
#include "proxy/http/h1_parser.h"
#include "proxy/http/message.h"

namespace pillion::http {

using H1Framing = H1Parser::Framing;

std::string_view reason_phrase(uint16_t status);  // "" where none is registered

// What one side of a connection has to say and could not give to the transport yet, and how far the message is.
class H1Output {
 public:
  explicit H1Output(ChunkPool& pool) : pool_(pool) {}

  // `length` goes into Content-Length when framing is length, or when `show_length` (HEAD, 304).
  void write_request(const RequestHead& head, H1Framing framing, uint64_t length);
  void write_response(const ResponseHead& head, H1Framing framing, uint64_t length, bool show_length,
                      std::string_view connection);
  void write_informational(const ResponseHead& head);

  // The next two answer why they cannot, or nullptr. Nothing may be written after a fault. With framing none the data
  // is dropped: a response to HEAD has a body that nobody sends.
  const char* write_body(Chain&& data, bool end);
  const char* write_trailers(const HeaderMap& trailers);  // left out where the framing has no room for them
  void start_tunnel() { framing_ = H1Framing::tunnel; }

  bool is_cut_by_close() const { return framing_ == H1Framing::until_close; }
  bool empty() const { return out_.empty(); }
  size_t size() const { return out_.size(); }
  void clear() { out_.clear(); }
  void produce(Chain& out, size_t budget);

 private:
  // Puts go into room of the chain, which learns of them by commit(): before anything else is done with it.
  void put(std::string_view bytes) {
    if (static_cast<size_t>(room_end_ - at_) < bytes.size()) return put_slowly(bytes);
    at_ = std::copy(bytes.begin(), bytes.end(), at_);
  }
  void put_slowly(std::string_view bytes);
  void commit();
  void put_number(uint64_t n, int base);
  void put_field(std::string_view name, std::string_view value);
  void put_headers(const HeaderMap& headers);
  void put_status_line(uint16_t status);
  void start_body(H1Framing framing, uint64_t length);

  ChunkPool& pool_;
  Chain out_;
  char* room_ = nullptr;  // behind the chain; filled up to at_, and null after commit()
  char* at_ = nullptr;
  char* room_end_ = nullptr;
  H1Framing framing_ = H1Framing::none;
  uint64_t length_left_ = 0;
};

}  // namespace pillion::http
