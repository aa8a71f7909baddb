// The TLS of a server that holds the authority itself: it signs its own certificate and renews it, asks clients for
// theirs without insisting, and sends its root behind its chain, because a workload at first contact knows no more of
// it than the root's fingerprint.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "certs/authority.h"
#include "certs/store.h"
#include "proxy/event/executor.h"
#include "proxy/rpc/http_server.h"

namespace pillion::certs {

class ServerIdentity final : public rpc::ServerTlsSource {
 public:
  // `hosts`: names and addresses under which clients that know no SPIFFE expect the server. Errors: the authority
  // cannot sign. It must outlive this.
  static Result<std::unique_ptr<ServerIdentity>> make(event::Executor& executor, BuiltinAuthority& authority,
                                                      SpiffeId id, std::vector<std::string> hosts,
                                                      int64_t lifetime_seconds);

  std::shared_ptr<const net::ServerTlsContext> context() override { return context_; }
  const Store& store() const { return store_; }

 private:
  ServerIdentity(event::Executor& executor, BuiltinAuthority& authority, SpiffeId id, std::vector<std::string> hosts,
                 int64_t lifetime_seconds);
  Result<void> renew(int64_t now);
  Result<void> make_context();
  void on_timer();
  void schedule();

  event::Executor& executor_;
  BuiltinAuthority& authority_;
  SpiffeId id_;
  std::vector<std::string> hosts_;
  int64_t lifetime_seconds_;
  Store store_;
  std::shared_ptr<const net::ServerTlsContext> context_;
  event::Timer timer_{event::Timer::bind<&ServerIdentity::on_timer>(this)};
};

}  // namespace pillion::certs
