// The connections of one worker to one endpoint in one protocol. The list a connection is on IS its state:
//
//   dialing ──► ready ⇄ busy ──► draining ──► gone        (any state may go to gone)
//
// ready: can take one more stream now; the one used last is used first, so that what is not needed grows old and
// closes. busy: full (HTTP/1 with a request, HTTP/2 at the peer's limit). draining: takes no more, finishes what it
// has. Waiters are served first come, first served.
#pragma once

#include <memory>
#include <optional>

#include "proxy/base/error.h"
#include "proxy/base/list.h"
#include "proxy/upstream/connection.h"
#include "proxy/upstream/target.h"

namespace pillion::upstream {

class Pool;

// Somebody who waits for a connection; embedded in it. Destroying it, or leave(), stops the waiting.
class Waiter : public ListNode<> {
 public:
  // The connection has room for one stream: start it inside this call, or do not and the next in line has it.
  virtual void on_connection(Connection& connection) = 0;
  virtual void on_pool_failure(const Error& why) = 0;
  void leave();
  bool is_waiting() const { return ListNode<>::is_linked(); }

 protected:
  ~Waiter() { leave(); }

 private:
  friend class Pool;
  BreakerSlot pending_;
  Pool* pool_ = nullptr;  // while it waits
  uint32_t priority_ = 0;
};

class Pool final : public ConnectionOwner {
 public:
  Pool(const DialTarget& target, config::Cluster::Protocol protocol, ServerName server_name);
  ~Pool();

  // A connection with room (start a stream on it before anything else happens), or null: the waiter is queued and a
  // dial is under way. Errors: overflow, tls_failed (a secret has not arrived). `priority` chooses the breakers.
  // max_connections never refuses the only connection of a pool, as in Envoy; beyond that the waiter waits.
  Expected<Connection*> acquire(Waiter& waiter, uint32_t priority);

  void drain();           // idle connections close, the others when they are done; who waits is still served
  void close();           // now: what runs is reset, who waits fails
  bool is_empty() const;  // no connections, no dials, nobody waits
  ClusterContext& context() const override { return target_.context(); }

 private:
  friend class PendingDial;
  friend class Waiter;
  struct Room {
    bool is_h2 = false;
    size_t streams = 1;  // what a dial will be good for
  };
  bool is_agreed_on_dial() const;  // the handshake says whether a connection takes one stream or many
  Room expected_room() const;
  Expected<void> dial_for_waiters();
  Expected<void> dial_one(uint32_t priority);
  void dial_ahead(const Connection& connection);  // the next one, before this one is full
  void on_dialed(class PendingDial& dial, net::TransportPtr transport);
  void on_dial_failed(class PendingDial& dial, const Error& why);
  Waiter* pop_waiter();
  void update(Connection& connection) override;  // moves it to the list that its codec's state asks for
  void remove(Connection& connection) override;  // it is gone
  void serve_waiters();
  void fail_waiters(size_t count, const Error& why);  // the oldest
  void drop_unneeded();                               // while draining: what nobody waits for
  bool has_connections() const;
  bool may_come_free() const;

  const DialTarget& target_;
  const config::Cluster::Protocol protocol_;
  const ServerName server_name_;
  std::optional<http::Version> learned_;  // is_agreed_on_dial(): what ALPN gave last time
  List<Waiter> waiters_;
  size_t waiting_ = 0;  // how many they are
  OwningList<class PendingDial> dials_;
  OwningList<Connection> ready_, busy_, draining_;
  bool is_draining_ = false;
  bool is_serving_ = false;
  bool is_closing_ = false;
};

}  // namespace pillion::upstream
