// Who can be reached, and the Dialer that reaches them over simulated links.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/net/dialer.h"
#include "tests/sim/link.h"

namespace pillion::sim {

// Takes connections. The transport has no events yet; bytes may already be waiting in it.
class Acceptor {
 public:
  virtual void on_accept(std::unique_ptr<LinkEnd> transport) = 0;

 protected:
  ~Acceptor() = default;
};

// A place in the network. Faults may be changed at any time; they count for dials that begin afterwards.
struct Host {
  enum class Fault : uint8_t {
    none,
    refuse,       // connect_failed after one round trip
    unreachable,  // no answer: the dial ends by its timeout
    tls_failed    // connected, then refused by the handshake
  };
  Acceptor* acceptor = nullptr;         // null: as refuse
  event::Executor* executor = nullptr;  // where it accepts
  LinkOptions link;
  Fault fault = Fault::none;
  std::string alpn;  // what TLS agrees on; empty: the connection shows no TLS
};

class Network {
 public:
  explicit Network(World& world) : world(world) {}
  Host& listen(const Address& address, Acceptor& acceptor, event::Executor& executor) {
    Host& host = hosts_[address.to_string()];
    host.acceptor = &acceptor;
    host.executor = &executor;
    return host;
  }
  Host& at(const Address& address) { return hosts_[address.to_string()]; }
  void gone(const Address& address) { at(address).acceptor = nullptr; }

  World& world;
  uint16_t next_port = 40'000;
  std::vector<std::weak_ptr<Link>> links;  // all that were made, for faults in the middle

 private:
  std::map<std::string, Host> hosts_;
};

class SimDialer final : public net::Dialer {
 public:
  SimDialer(Network& network, event::Executor& executor) : network_(network), executor_(executor) {}

  std::unique_ptr<net::Dial> dial(const net::DialOptions& options, net::DialEvents& events) override {
    ++dials;
    last = options;
    return std::make_unique<PendingDial>(*this, options, events);
  }

  size_t dials = 0;
  // Faults to plant.
  uint32_t loses_one_in = 0;     // 0 = none: so many dials end without anybody being told
  bool never_congested = false;  // as LinkEnd has it, for the connections that are made
  net::DialOptions last;

 private:
  // TCP's handshake takes a round trip: the client hears of it after two latencies.
  class PendingDial final : public net::Dial {
   public:
    PendingDial(SimDialer& dialer, const net::DialOptions& options, net::DialEvents& events)
        : dialer_(dialer), options_(options), events_(events), timer_(event::Timer::bind<&PendingDial::on_due>(this)) {
      const Host& host = dialer_.network_.at(options_.remote);
      const Duration trip = 2 * host.link.latency;
      fault_ = host.acceptor == nullptr && host.fault == Host::Fault::none ? Host::Fault::refuse : host.fault;
      if (trip >= options_.connect_timeout) fault_ = Host::Fault::unreachable;
      timer_.start_after(dialer_.executor_.timers,
                         fault_ == Host::Fault::unreachable ? options_.connect_timeout : trip);
    }

   private:
    void on_due() {
      const uint32_t lost = dialer_.loses_one_in;
      if (lost > 0 && dialer_.network_.world.random.below(lost) == 0) return;
      const Host& host = dialer_.network_.at(options_.remote);
      if (host.acceptor == nullptr && fault_ == Host::Fault::none) fault_ = Host::Fault::refuse;
      switch (fault_) {
        case Host::Fault::refuse: return fail(Code::connect_failed, ECONNREFUSED, "connecting");
        case Host::Fault::unreachable: return fail(Code::connect_timeout, ETIMEDOUT, "connecting");
        case Host::Fault::tls_failed: return fail(Code::tls_failed, 0, "the TLS handshake");
        case Host::Fault::none: break;
      }
      Network& network = dialer_.network_;
      const Address local = *Address::parse_ip("10.255.0.1", network.next_port++);
      LinkPair pair = make_link(network.world, host.link, dialer_.executor_, *host.executor, local, options_.remote);
      if (!host.alpn.empty()) {
        net::TlsInfo tls;
        tls.version = "TLSv1.3";
        tls.alpn = host.alpn;
        tls.sni = options_.sni;
        pair.client->set_tls(tls);
        pair.server->set_tls(tls);
      }
      pair.client->never_congested = dialer_.never_congested;
      network.links.push_back(pair.client->link().weak_from_this());
      host.acceptor->on_accept(std::move(pair.server));
      events_.on_dialed(std::move(pair.client));
    }
    void fail(Code code, int os, const char* what) {
      events_.on_dial_failed({code, Side::upstream, Retry::safe, os, what});
    }

    SimDialer& dialer_;
    const net::DialOptions options_;
    net::DialEvents& events_;
    Host::Fault fault_ = Host::Fault::none;
    event::Timer timer_;
  };

  Network& network_;
  event::Executor& executor_;
};

}  // namespace pillion::sim
