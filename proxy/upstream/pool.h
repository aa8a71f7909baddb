// The connections of one worker to one endpoint in one protocol. The list a connection is on IS its state:
//
//   dialing ──► ready ⇄ busy ──► draining ──► gone        (any state may go to gone)
//
// ready: can take one more stream now. busy: full (HTTP/1 with a request, HTTP/2 at the peer's limit). draining: takes
// no more, finishes what it has. Waiters are served first come, first served.
#pragma once

#include <memory>
#include <optional>

#include "proxy/base/error.h"
#include "proxy/base/list.h"
#include "proxy/event/timer_queue.h"
#include "proxy/http/codec.h"
#include "proxy/upstream/cluster.h"
#include "proxy/upstream/connection.h"

namespace pillion::upstream {

// Somebody who waits for a connection; embedded in it. Destroying it, or leave(), stops the waiting.
class Waiter : public ListNode<> {
 public:
  // The connection has room for one stream: start it inside this call.
  virtual void on_connection(Connection& connection) = 0;
  virtual void on_pool_failure(const Error& why) = 0;
  void leave() {
    unlink();
    pending_slot.release();
  }

  BreakerSlot pending_slot;

 protected:
  ~Waiter() = default;
};

class Pool final : public ConnectionOwner {
 public:
  Pool(Endpoint& endpoint, config::Cluster::Protocol protocol);
  ~Pool();

  // A connection with room (start a stream on it before anything else happens), or null: the waiter is queued and a
  // dial is under way. Errors: overflow. `priority` chooses the breakers.
  Expected<Connection*> acquire(Waiter& waiter, uint32_t priority);

  void drain();           // no new connections; ready and idle ones close, the others when they are done
  bool is_empty() const;  // no connections and no dials
  Endpoint& endpoint() const override { return endpoint_; }

 private:
  friend class PendingDial;
  Expected<void> dial_for_waiters(uint32_t priority);
  void on_dialed(class PendingDial& dial, net::TransportPtr transport);
  void on_dial_failed(class PendingDial& dial, const Error& why);
  void update(Connection& connection) override;  // moves it to the list that its codec's state asks for
  void remove(Connection& connection) override;  // it is gone
  void serve_waiters();

  Endpoint& endpoint_;
  config::Cluster::Protocol protocol_;
  std::optional<http::Version> learned_;  // automatic: what ALPN gave last time
  List<Waiter> waiters_;
  OwningList<class PendingDial> dials_;
  OwningList<Connection> ready_, busy_, draining_;
  bool is_draining_ = false;
  bool is_serving_ = false;
};

}  // namespace pillion::upstream
