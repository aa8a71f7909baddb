#include "xds/control/server.h"

#include <cstring>

#include "certs/control_plane_tls.h"
#include "certs/files.h"
#include "certs/root_file.h"
#include "proxy/base/log.h"

namespace pillion::xds::control {

namespace {

int64_t now_seconds() {
  return wall_now_us() / 1'000'000;
}

ConfigError listen_error(const Address& address, const Error& error) {
  return {address.to_string(), 0, "",
          std::string("cannot listen: ") + (error.os != 0 ? std::strerror(error.os) : error.what)};
}

}  // namespace

// === start ===

Server::Server(event::Loop& loop, ServerOptions options)
    : loop_(loop), options_(std::move(options)), ads_(loop.executor(), options_.translate) {}

std::expected<std::unique_ptr<Server>, ConfigError> Server::start(event::Loop& loop, ServerOptions options) {
  auto out = std::unique_ptr<Server>(new Server(loop, std::move(options)));
  if (auto done = out->open(); !done) return std::unexpected(std::move(done.error()));
  if (auto done = out->listen(); !done) return std::unexpected(std::move(done.error()));
  return out;
}

std::expected<void, ConfigError> Server::open() {
  const certs::AuthorityOptions authority{options_.translate.trust_domain, options_.certificate_lifetime_seconds};
  auto opened = options_.ca_cert.empty() ? certs::BuiltinAuthority::open(options_.state_dir, authority, now_seconds())
                                         : certs::BuiltinAuthority::load(options_.ca_cert, options_.ca_key,
                                                                         options_.ca_roots, authority, now_seconds());
  if (!opened) return std::unexpected(std::move(opened.error()));
  authority_ = std::move(*opened);
  if (auto done = certs::make_private_dir(options_.state_dir); !done) return std::unexpected(std::move(done.error()));
  if (auto done = certs::write_shown_root(options_.state_dir, *authority_); !done) {
    return std::unexpected(std::move(done.error()));
  }
  auto tokens = certs::TokenIssuer::open(options_.state_dir, now_seconds());
  if (!tokens) return std::unexpected(std::move(tokens.error()));
  tokens_ = std::make_unique<certs::TokenIssuer>(std::move(*tokens));
  auto self = certs::SpiffeId::make(options_.translate.trust_domain, certs::kControlPlanePath);
  if (!self) return std::unexpected(std::move(self.error()));
  auto identity = certs::ServerIdentity::make(loop_.executor(), *authority_, std::move(*self), options_.server_names,
                                              options_.certificate_lifetime_seconds);
  if (!identity) return std::unexpected(std::move(identity.error()));
  identity_ = std::move(*identity);
  auto state = DesiredState::open(loop_, options_.config_dir, options_.state_dir, options_.translate, *this);
  if (!state) return std::unexpected(std::move(state.error()));
  state_ = std::move(*state);
  signing_ = std::make_unique<SigningService>(*authority_, *tokens_, options_.translate.trust_domain,
                                              options_.certificate_lifetime_seconds);
  pages_ = std::make_unique<Pages>(*state_, ads_);
  push();
  return {};
}

std::expected<void, ConfigError> Server::listen() {
  rpc::HttpServerOptions grpc;
  grpc.listen.address = options_.listen;
  grpc.grpc = this;
  grpc.tls = identity_.get();
  auto server = rpc::make_http_server(loop_, grpc);
  if (!server) return std::unexpected(listen_error(options_.listen, server.error()));
  grpc_server_ = std::move(*server);
  rpc::HttpServerOptions admin;
  admin.listen.address = options_.admin;
  admin.handler = pages_.get();
  server = rpc::make_http_server(loop_, admin);
  if (!server) return std::unexpected(listen_error(options_.admin, server.error()));
  admin_server_ = std::move(*server);
  return {};
}

// === calls ===

std::unique_ptr<rpc::GrpcHandler> Server::start(std::string_view path, const rpc::Metadata& metadata,
                                                rpc::GrpcResponder& responder) {
  if (auto handler = ads_.start(path, metadata, responder)) return handler;
  return signing_->start(path, metadata, responder);
}

// === changes ===

void Server::on_source_changed() {
  if (!state_->refresh()) return;
  if (coalescer_.on_change(loop_.now())) push();
  if (const auto due = coalescer_.due()) push_timer_.start(loop_.executor().timers, *due);
}

void Server::on_push_time() {
  if (coalescer_.on_time(loop_.now())) push();
  if (const auto due = coalescer_.due()) push_timer_.start(loop_.executor().timers, *due);
}

void Server::push() {
  ads_.push(state_->model(), state_->revision());
}

}  // namespace pillion::xds::control
