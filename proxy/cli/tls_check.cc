#include "proxy/cli/tls_check.h"

#include <optional>

#include "proxy/net/tls.h"

namespace pillion::cli {
namespace {

class Checker {
 public:
  explicit Checker(const config::Snapshot& config) : config_(config) {}

  void server(const std::string& where, const config::TlsContext* tls) {
    check(where, tls,
          [](const auto& context, const auto& secrets) { return net::make_server_context(context, secrets); });
  }
  void client(const std::string& where, const config::TlsContext* tls) {
    check(where, tls,
          [](const auto& context, const auto& secrets) { return net::make_client_context(context, secrets); });
  }
  std::vector<std::string> take() { return std::move(faults_); }

 private:
  std::shared_ptr<const TlsMaterial> find(const config::SecretRef& ref) const {
    if (ref.material != nullptr) return ref.material;
    const auto found = config_.secrets.find(ref.name);
    return found == config_.secrets.end() ? nullptr : found->second;
  }
  std::optional<net::TlsSecrets> secrets_of(const config::TlsContext& tls) const {
    net::TlsSecrets out;
    for (const config::SecretRef& ref : tls.certificates) {
      out.certificates.push_back(find(ref));
      if (out.certificates.back() == nullptr) return std::nullopt;
    }
    if (tls.has_validation && tls.validation.trust.is_set()) {
      out.trust = find(tls.validation.trust);
      if (out.trust == nullptr) return std::nullopt;
    }
    return out;
  }
  template <class Make>
  void check(const std::string& where, const config::TlsContext* tls, Make make) {
    if (tls == nullptr) return;
    const auto secrets = secrets_of(*tls);
    if (!secrets) return;
    if (const auto made = make(*tls, *secrets); !made) faults_.push_back(where + ": " + made.error());
  }

  const config::Snapshot& config_;
  std::vector<std::string> faults_;
};

}  // namespace

std::vector<std::string> tls_faults(const config::Snapshot& config) {
  Checker checker(config);
  for (const auto& [name, listener] : config.listeners) {
    for (size_t i = 0; i < listener->chains.size(); ++i) {
      checker.server("listener " + name + ": filter_chains[" + std::to_string(i) + "]", listener->chains[i].tls.get());
    }
    if (listener->default_chain) {
      checker.server("listener " + name + ": default_filter_chain", listener->default_chain->tls.get());
    }
  }
  for (const auto& [name, cluster] : config.clusters) {
    checker.client("cluster " + name, cluster->tls.get());
    for (const config::TransportSocketMatch& match : cluster->socket_matches) {
      checker.client("cluster " + name + ": transport_socket_matches " + match.name, match.tls.get());
    }
  }
  return checker.take();
}

}  // namespace pillion::cli
