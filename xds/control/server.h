// The control plane as a program: source, authority, ADS, signing and admin on one loop.
//
//   files change ──► DesiredState::refresh ──► Coalescer ──► AdsService::push ──► every stream
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "certs/authority.h"
#include "certs/join_token.h"
#include "certs/server_identity.h"
#include "proxy/rpc/http_server.h"
#include "xds/control/ads_service.h"
#include "xds/control/coalesce.h"
#include "xds/control/desired_state.h"
#include "xds/control/pages.h"
#include "xds/control/signing_service.h"

namespace pillion::xds::control {

inline constexpr Duration kPushWindow{50'000};  // a burst of changes after the first goes as one push

struct ServerOptions {
  std::string config_dir;
  std::string state_dir;
  Address listen;
  Address admin;
  TranslateOptions translate;
  std::vector<std::string> server_names;  // in the server's certificate, beside its SPIFFE ID
  int64_t certificate_lifetime_seconds = certs::kMaxLeafLifetimeSeconds;
  // An authority that is given instead of the built-in one's own root; both or neither.
  std::string ca_cert;
  std::string ca_key;
  std::string ca_roots;  // further roots to trust; may be empty
};

class Server final : public rpc::GrpcService, public SourceDirEvents {
 public:
  // Errors name what is not usable: a directory, a file of the authority, an address.
  static std::expected<std::unique_ptr<Server>, ConfigError> start(event::Loop& loop, ServerOptions options);

  const Address& address() const { return grpc_server_->address(); }
  const Address& admin_address() const { return admin_server_->address(); }
  const DesiredState& state() const { return *state_; }

 private:
  Server(event::Loop& loop, ServerOptions options);
  std::expected<void, ConfigError> open();
  std::expected<void, ConfigError> listen();

  std::unique_ptr<rpc::GrpcHandler> start(std::string_view path, const rpc::Metadata& metadata,
                                          rpc::GrpcResponder& responder) override;
  void on_source_changed() override;
  void on_push_time();
  void push();

  event::Loop& loop_;
  ServerOptions options_;
  std::unique_ptr<certs::BuiltinAuthority> authority_;
  std::unique_ptr<certs::TokenIssuer> tokens_;
  std::unique_ptr<certs::ServerIdentity> identity_;
  std::unique_ptr<DesiredState> state_;
  AdsService ads_;
  std::unique_ptr<SigningService> signing_;
  std::unique_ptr<Pages> pages_;
  Coalescer coalescer_{kPushWindow};
  event::Timer push_timer_{event::Timer::bind<&Server::on_push_time>(this)};
  // Last, so that calls end before what they use.
  std::unique_ptr<rpc::HttpServer> grpc_server_;
  std::unique_ptr<rpc::HttpServer> admin_server_;
};

}  // namespace pillion::xds::control
