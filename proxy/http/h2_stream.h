// One HTTP/2 stream as its user sees it. It has both faces, ServerStream and ClientStream; which one is used follows
// from the side of its session.
#pragma once

#include <nghttp2/nghttp2.h>

#include <memory>
#include <optional>
#include <string>

#include "proxy/base/list.h"
#include "proxy/http/codec.h"
#include "proxy/http/h2_head.h"
#include "proxy/http/h2_memory.h"

namespace pillion::http {

class H2Session;

struct H2DueTag;

class H2Stream final : public ServerStream, public ClientStream, public ListNode<>, public ListNode<H2DueTag> {
 public:
  H2Stream(H2Session& session, ServerStreamEvents* server, ClientStreamEvents* client);
  static void* operator new(size_t bytes, H2Memory& memory) { return memory.allocate_object(bytes); }
  static void operator delete(void* at, H2Memory&) { H2Memory::release_object(at); }
  static void operator delete(void* at) { H2Memory::release_object(at); }

  void send_informational(const ResponseHead& head) override;
  void send_head(const ResponseHead& head, bool end) override;
  void send_head(const RequestHead& head, bool end) override;
  void send_body(Chain&& data, bool end) override;
  void send_trailers(const HeaderMap& trailers) override;
  void reset(Code why) override;
  void detach() override;
  void consume(size_t bytes) override;
  size_t buffered_bytes() const override { return out_.size(); }
  bool is_congested() const override { return congested_; }
  uint64_t id() const override { return static_cast<uint64_t>(id_); }

 private:
  friend class H2Session;

  struct Trailers {
    Arena arena;
    HeaderMap fields{arena};
  };

  // A request that must wait for the peer's SETTINGS.
  struct HeldRequest {
    explicit HeldRequest(const RequestHead& from);
    Arena arena;
    RequestHead head;
  };

  StreamEvents* user() const;
  bool is_writable() const;
  bool is_agreement(const ResponseHead& head) const;
  const char* check_head(const ResponseHead& head, bool end) const;
  void set_fault(Code code, const char* what);
  void submit_request(const RequestHead& head, bool end);
  bool take_length(size_t bytes, bool end);
  void submit_reset(uint32_t h2_code);
  void resume();
  void drop_output();
  // The data source of nghttp2.
  ssize_t read(size_t length, uint32_t* flags);
  static ssize_t read_callback(nghttp2_session*, int32_t, uint8_t*, size_t length, uint32_t* flags,
                               nghttp2_data_source* source, void*);

  H2Session& session_;
  ServerStreamEvents* server_;  // one of the two, until it was told of its end or left
  ClientStreamEvents* client_;
  int32_t id_ = 0;
  std::optional<H2Block> block_;  // while a field block for our user is being received
  std::optional<Error> fault_;    // to be told by the next produce(); then nothing more is taken
  std::string upgrade_;           // what the request asks for
  Chain out_;
  size_t promised_ = 0;                 // at the front of out_: the payload of a DATA frame that is being sent
  std::unique_ptr<Trailers> trailers_;  // behind out_
  std::unique_ptr<HeldRequest> held_;
  std::optional<uint64_t> length_left_;  // of a response or request whose head has a Content-Length
  size_t unconsumed_ = 0;
  uint32_t informational_ = 0;  // responses of that kind that came

  bool is_open_ = false;     // nghttp2 knows it
  bool detached_ = false;    // the user left
  bool in_started_ = false;  // the head came
  bool in_over_ = false;
  bool head_sent_ = false;
  bool head_on_wire_ = false;
  bool out_ended_ = false;  // the user said end
  bool out_over_ = false;   // END_STREAM is on the wire
  bool undecided_ = false;  // an upgrade or CONNECT that is not answered
  bool is_head_ = false;
  bool bodiless_ = false;  // what the user sends as body is dropped
  bool is_connect_ = false;
  bool congested_ = false;
  bool reset_received_ = false;
  bool reset_by_user_ = false;
  bool peer_error_ = false;  // counted as one
};

}  // namespace pillion::http
