#include <algorithm>
#include <cctype>
#include <csignal>
#include <random>

#include "proxy/base/log.h"
#include "proxy/event/signal.h"
#include "xds/control/command.h"
#include "xds/control/server.h"

namespace pillion::xds::control {

namespace {

bool is_host(const std::string& name) {
  const auto of_name = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.'; };
  return Address::parse_ip(name, 0) || (!name.empty() && name.size() < 254 && std::ranges::all_of(name, of_name));
}

std::expected<ServerOptions, std::string> server_options(const ControlOptions& options) {
  const auto listen = Address::parse(options.listen);
  if (!listen) return std::unexpected("--listen " + options.listen + ": is not IP:PORT");
  const auto admin = Address::parse(options.admin);
  if (!admin) return std::unexpected("--admin " + options.admin + ": is not IP:PORT");
  if (options.ca_cert.empty() != options.ca_key.empty()) {
    return std::unexpected("--ca-cert and --ca-key belong together");
  }
  if (options.ca_cert.empty() && !options.ca_roots.empty()) return std::unexpected("--ca-roots needs --ca-cert");
  if (auto ok = certs::check_trust_domain(options.trust_domain); !ok) {
    return std::unexpected("--trust-domain " + options.trust_domain + ": " + ok.error().reason);
  }
  const int64_t lifetime = options.certificate_lifetime_seconds;
  if (lifetime < certs::kMinLeafLifetimeSeconds || lifetime > certs::kMaxLeafLifetimeSeconds) {
    return std::unexpected("--certificate-lifetime must be 2s to 24h");
  }
  std::vector<std::string> names = options.server_names;
  if (!listen->is_any()) names.push_back(listen->ip());
  for (const std::string& name : names) {
    if (!is_host(name)) return std::unexpected("--server-name " + name + ": is neither a DNS name nor an IP address");
  }
  return ServerOptions{.config_dir = options.config_dir,
                       .state_dir = options.state_dir,
                       .listen = *listen,
                       .admin = *admin,
                       .translate = {options.trust_domain, options.cluster_domain},
                       .server_names = std::move(names),
                       .certificate_lifetime_seconds = lifetime,
                       .ca_cert = options.ca_cert,
                       .ca_key = options.ca_key,
                       .ca_roots = options.ca_roots};
}

}  // namespace

int run_control(const ControlOptions& options, std::ostream& err) {
  const auto fail = [&err](const std::string& reason) {
    err << "pillion control: " << reason << "\n";
    return 1;
  };
  const auto level = parse_log_level(options.log_level);
  if (!level) return fail("--log-level " + options.log_level + ": is not a level");
  auto converted = server_options(options);
  if (!converted) return fail(converted.error());
  set_log_level(*level);
  set_log_thread_name("main");
  event::ignore_sigpipe();
  StatSlab stats;
  event::Loop loop(std::random_device{}(), stats);
  const event::SignalWatch on_term(loop, SIGTERM, event::Callback::bind<&event::Loop::stop>(&loop));
  const event::SignalWatch on_int(loop, SIGINT, event::Callback::bind<&event::Loop::stop>(&loop));
  auto server = Server::start(loop, std::move(*converted));
  if (!server) return fail(server.error().to_string());
  PILLION_LOG(info, "control plane: serving {} of trust domain {} on {}, admin on {}", options.config_dir,
              options.trust_domain, (*server)->address().to_string(), (*server)->admin_address().to_string());
  loop.run();
  PILLION_LOG(info, "control plane: ends");
  return 0;
}

}  // namespace pillion::xds::control
