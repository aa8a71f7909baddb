#include "proxy/rpc/direct_channel.h"

#include "proxy/rpc/client_call.h"
#include "proxy/rpc/client_connection.h"
#include "proxy/rpc/target.h"

namespace pillion::rpc {
namespace {

// What a channel is made of. It outlives its DirectChannel to the end of the turn, since that may be dropped from
// inside an event.
//
//   no connection ── a call waits ──► connecting ──► connected ── going away, lost ──► no connection
//                                        └─ failed: the calls that wait hear why ──►
class ChannelCore final : public event::Retirable,
                          public event::Steppable,
                          public CallOwner,
                          public ClientConnectionOwner,
                          public ConnectEvents {
 public:
  ChannelCore(event::Executor& executor, net::Dialer& dialer, net::Resolver& resolver,
              const DirectChannelOptions& options)
      : executor_(executor),
        options_(options),
        target_(Target::parse(options.target)),
        connector_(executor, dialer, resolver, *this) {}

  event::Executor& executor() override { return executor_; }

  std::unique_ptr<GrpcCall> call(std::string_view path, const Metadata& metadata, GrpcCallEvents& events) {
    ClientCall& call = calls_.push_back(std::make_unique<ClientCall>(*this, path, metadata, events));
    if (target_) {
      executor_.ready(*this);
    } else {
      call.fail(kGrpcUnavailable, "\"" + options_.target + "\" is not HOST:PORT");
    }
    return call.make_handle();
  }

  void shut_down() {
    event::Steppable::unlink();
    for (ClientCall& call : calls_) call.forget();
    for (ClientConnection& connection : connections_) connection.close();
    connecting_ = false;
  }

  void remove(ClientCall& call) override { executor_.retire(calls_.take(call)); }

 private:
  bool has_waiting() {
    for (const ClientCall& call : calls_) {
      if (call.is_waiting()) return true;
    }
    return false;
  }

  void fail_waiting(const std::string& why) {
    for (ClientCall& call : calls_) {
      if (call.is_waiting()) call.fail(kGrpcUnavailable, why);
    }
  }

  // Gives a connection to the calls that wait, or makes one.
  void step() override {
    if (current_ != nullptr && current_->is_going_away()) current_ = nullptr;  // what runs on it goes on
    if (!has_waiting() || connecting_) return;
    if (current_ == nullptr) return connect();
    for (ClientCall& call : calls_) {
      if (!current_->has_room()) return;
      if (call.is_waiting()) call.begin(*current_, options_.tls != nullptr ? "https" : "http", authority());
    }
  }

  void connect() {
    net::DialOptions dial{.connect_timeout = options_.connect_timeout};
    if (options_.tls != nullptr) {
      dial.tls = options_.tls->context();
      if (dial.tls == nullptr) return fail_waiting("there is no TLS context yet");
    }
    connecting_ = true;
    connector_.start(*target_, dial);
  }

  void on_connected(net::TransportPtr transport) override {
    connecting_ = false;
    if (options_.tls != nullptr && !options_.tls->accept_peer(*transport)) {
      for (ClientCall& call : calls_) {
        if (call.is_waiting()) call.fail(kGrpcUnauthenticated, "the server is not who it should be");
      }
      return;
    }
    current_ = &connections_.push_back(
        std::make_unique<ClientConnection>(*this, std::move(transport), options_.keepalive_interval));
    executor_.ready(*this);
  }

  void on_connect_failed(const std::string& why) override {
    connecting_ = false;
    fail_waiting(why);
  }

  void on_changed(ClientConnection&) override { executor_.ready(*this); }

  void on_lost(ClientConnection& connection, const Error& why) override {
    if (current_ == &connection) current_ = nullptr;
    for (ClientCall& call : calls_) {
      if (call.connection() == &connection) call.fail(grpc_code_of_error(why), to_string(why));
    }
    executor_.retire(connections_.take(connection));
    executor_.ready(*this);
  }

  std::string_view authority() {
    if (authority_.empty()) authority_ = options_.authority.empty() ? target_->authority() : options_.authority;
    return authority_;
  }

  event::Executor& executor_;
  const DirectChannelOptions options_;
  const std::optional<Target> target_;
  std::string authority_;
  Connector connector_;
  bool connecting_ = false;
  ClientConnection* current_ = nullptr;
  OwningList<ClientConnection> connections_;  // current, and those whose last calls still run
  OwningList<ClientCall> calls_;
};

class DirectChannel final : public Channel {
 public:
  explicit DirectChannel(std::unique_ptr<ChannelCore> core) : core_(std::move(core)) {}
  ~DirectChannel() override {
    core_->shut_down();
    core_->executor().retire(std::move(core_));
  }
  std::unique_ptr<GrpcCall> call(std::string_view path, const Metadata& metadata, GrpcCallEvents& events) override {
    return core_->call(path, metadata, events);
  }

 private:
  std::unique_ptr<ChannelCore> core_;
};

}  // namespace

std::unique_ptr<Channel> make_direct_channel(event::Executor& executor, net::Dialer& dialer, net::Resolver& resolver,
                                             const DirectChannelOptions& options) {
  return std::make_unique<DirectChannel>(std::make_unique<ChannelCore>(executor, dialer, resolver, options));
}

}  // namespace pillion::rpc
