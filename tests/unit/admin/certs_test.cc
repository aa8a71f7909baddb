#include <doctest/doctest.h>

#include "proxy/admin/certificates.h"
#include "tests/unit/admin/fake_server.h"
#include "tests/unit/net/tls_pki.h"

using namespace pillion;
using namespace pillion::admin;
using namespace pillion::admin::test;

namespace {

constexpr long kDay = 24 * 3600;

std::shared_ptr<config::TlsContext> context(std::shared_ptr<const TlsMaterial> certificate,
                                            std::shared_ptr<const TlsMaterial> trust) {
  auto out = std::make_shared<config::TlsContext>();
  out->certificates.emplace_back().material = std::move(certificate);
  out->validation.trust.material = std::move(trust);
  return out;
}

std::shared_ptr<config::Cluster> cluster(const char* name, std::shared_ptr<const config::TlsContext> tls) {
  auto out = std::make_shared<config::Cluster>();
  out->name = name;
  out->tls = std::move(tls);
  return out;
}

size_t count(std::string_view text, std::string_view what) {
  size_t n = 0;
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++n;
  return n;
}

struct Certs : Asking {
  Certs() : root("root"), next(std::make_shared<config::Snapshot>()) { server.publish(next); }
  net::test::Authority root;
  std::shared_ptr<config::Snapshot> next;
};

}  // namespace

TEST_CASE("admin: /certs tells serial numbers, names and times of what contexts present and trust") {
  Certs a;
  auto leaf = std::make_shared<TlsMaterial>(
      *a.root.issue({.sans = "URI:spiffe://mesh/a,DNS:a.test,IP:10.0.0.1", .to_seconds = 10 * kDay + 3600}));
  leaf->cert_chain_path = "/etc/a.crt";
  auto listener = std::make_shared<config::Listener>();
  listener->chains.emplace_back().tls = context(leaf, a.root.trust());
  a.next->listeners.insert_or_assign("l", listener);
  const std::string page = a.ask("/certs").body;
  CAPTURE(page);
  for (const char* part :
       {"\"path\": \"/etc/a.crt\"", "\"uri\": \"spiffe://mesh/a\"", "\"dns\": \"a.test\"",
        "\"ip_address\": \"10.0.0.1\"", "\"days_until_expiration\": \"10\"", "\"days_until_expiration\": \"0\"",
        "\"path\": \"<inline>\"", "\"serial_number\": \"", "\"valid_from\": \"20", "\"expiration_time\": \"20"}) {
    CAPTURE(part);
    CHECK(page.find(part) != std::string::npos);
  }
  CHECK(page.find("PRIVATE") == std::string::npos);
  CHECK(page.find("cert_chain") < page.find("ca_cert"));
}

TEST_CASE("admin: /certs finds secrets by name, tells them once, and those that nothing names as well") {
  Certs a;
  auto tls = std::make_shared<config::TlsContext>();
  tls->certificates.emplace_back().name = "default";
  tls->validation.trust.name = "ROOTCA";
  a.next->clusters.insert_or_assign("a", cluster("a", tls));
  a.next->clusters.insert_or_assign("b", cluster("b", tls));
  CHECK(count(a.ask("/certs").body, "serial_number") == 0);
  a.next->secrets.insert_or_assign("default", a.root.issue({.sans = "URI:spiffe://mesh/a"}));
  a.next->secrets.insert_or_assign("ROOTCA", a.root.trust());
  CHECK(count(a.ask("/certs").body, "serial_number") == 2);
  a.next->secrets.insert_or_assign("other", a.root.issue({.sans = "DNS:other.test"}));
  const std::string page = a.ask("/certs").body;
  CHECK(count(page, "serial_number") == 3);
  CHECK(page.find("other.test") != std::string::npos);
}

TEST_CASE("admin: the gauge of the first expiry follows the configuration") {
  Certs a;
  const std::string query = "/stats?filter=days_until_first";
  CHECK(a.ask(query).body == "server.days_until_first_cert_expiring: 4294967295\n");
  const auto with_days = [&a](long days) {
    auto next = std::make_shared<config::Snapshot>();
    next->secrets.insert_or_assign("a", a.root.issue({.to_seconds = days * kDay + 3600}));
    next->secrets.insert_or_assign("b", a.root.issue({.to_seconds = 100 * kDay}));
    a.server.publish(next);
  };
  with_days(3);
  CHECK(a.ask(query).body == "server.days_until_first_cert_expiring: 3\n");
  with_days(50);
  CHECK(a.ask(query).body == "server.days_until_first_cert_expiring: 50\n");
  with_days(-1);
  CHECK(a.ask(query).body == "server.days_until_first_cert_expiring: 0\n");
}
