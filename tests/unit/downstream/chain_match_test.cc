#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "proxy/downstream/chain_match.h"

using namespace pillion;
using downstream::ChainQuery;
using SourceType = config::FilterChainMatch::SourceType;

namespace {

config::FilterChain chain(std::string name, config::FilterChainMatch match) {
  config::FilterChain c;
  c.name = std::move(name);
  c.match = std::move(match);
  return c;
}

std::vector<Cidr> cidrs(std::initializer_list<const char*> texts) {
  std::vector<Cidr> out;
  for (const char* text : texts) out.push_back(*Cidr::parse(text));
  return out;
}

struct Query {
  const char* name;
  const char* destination = "10.0.0.1:80";
  const char* sni = "";
  const char* transport = "raw_buffer";
  std::vector<std::string_view> protocols;
  const char* source = "192.168.7.7:5000";
  const char* want = "";
};

void check(const config::Listener& listener, const std::vector<Query>& queries) {
  for (const Query& q : queries) {
    CAPTURE(q.name);
    const Address source = *Address::parse(q.source);
    const ChainQuery query{.destination = *Address::parse(q.destination),
                           .server_name = q.sni,
                           .transport_protocol = q.transport,
                           .application_protocols = q.protocols,
                           .direct_source = source,
                           .source = source};
    const config::FilterChain* found = downstream::match_chain(listener, query);
    CHECK((found == nullptr ? std::string() : found->name) == q.want);
  }
}

}  // namespace

TEST_CASE("chain match: the port shuts out chains without one, even if nothing of the port fits later") {
  config::Listener l;
  l.chains.push_back(chain("any", {}));
  l.chains.push_back(chain("tls of 80", {.destination_port = 80, .transport_protocol = "tls"}));
  check(l, {{.name = "fits", .transport = "tls", .want = "tls of 80"},
            {.name = "no way back", .want = ""},
            {.name = "another port", .destination = "10.0.0.1:81", .want = "any"}});
  l.default_chain = chain("default", {});
  check(l, {{.name = "no way back but the default", .want = "default"}});
}

TEST_CASE("chain match: the longest prefix of the destination wins, IPv4 and IPv6 apart") {
  config::Listener l;
  l.chains.push_back(chain("8", {.prefix_ranges = cidrs({"10.0.0.0/8"})}));
  l.chains.push_back(chain("24 and v6", {.prefix_ranges = cidrs({"10.1.2.0/24", "fd00::/8"})}));
  l.chains.push_back(chain("32", {.prefix_ranges = cidrs({"10.1.2.3/32"})}));
  check(l, {{.name = "longest", .destination = "10.1.2.3:1", .want = "32"},
            {.name = "middle", .destination = "10.1.2.4:1", .want = "24 and v6"},
            {.name = "shortest", .destination = "10.9.2.4:1", .want = "8"},
            {.name = "v6", .destination = "[fd00::1]:1", .want = "24 and v6"},
            {.name = "outside", .destination = "11.0.0.1:1", .want = ""}});
}

TEST_CASE("chain match: an exact server name, then the longest wildcard, then none") {
  config::Listener l;
  l.chains.push_back(chain("none", {}));
  l.chains.push_back(chain("short", {.server_names = {"*.test"}}));
  l.chains.push_back(chain("long", {.server_names = {"*.shop.test"}}));
  l.chains.push_back(chain("exact", {.server_names = {"web.shop.test", "other.test"}}));
  check(l, {{.name = "exact", .sni = "web.shop.test", .want = "exact"},
            {.name = "second name", .sni = "other.test", .want = "exact"},
            {.name = "long wildcard", .sni = "api.shop.test", .want = "long"},
            {.name = "several labels", .sni = "a.b.shop.test", .want = "long"},
            {.name = "short wildcard", .sni = "shop.test", .want = "short"},
            {.name = "the wildcard itself needs a label", .sni = "test", .want = "none"},
            {.name = "no name", .want = "none"}});
}

TEST_CASE("chain match: transport and application protocols, in the client's order") {
  config::Listener l;
  l.chains.push_back(chain("tcp", {}));
  l.chains.push_back(chain("http", {.transport_protocol = "raw_buffer", .application_protocols = {"http/1.1", "h2c"}}));
  l.chains.push_back(chain("mesh", {.transport_protocol = "tls", .application_protocols = {"pillion", "istio"}}));
  l.chains.push_back(chain("tls", {.transport_protocol = "tls"}));
  l.chains.push_back(chain("h2", {.transport_protocol = "tls", .application_protocols = {"h2"}}));
  check(l, {{.name = "plain HTTP", .protocols = {"http/1.1"}, .want = "http"},
            {.name = "plain, not HTTP: shut out by the chains that name raw_buffer", .want = ""},
            {.name = "mesh", .transport = "tls", .protocols = {"istio"}, .want = "mesh"},
            {.name = "the first that fits", .transport = "tls", .protocols = {"x", "h2", "istio"}, .want = "h2"},
            {.name = "other ALPN", .transport = "tls", .protocols = {"x"}, .want = "tls"},
            {.name = "another transport", .transport = "quic", .want = "tcp"}});
}

TEST_CASE("chain match: source type, source prefix and source port") {
  config::Listener l;
  l.chains.push_back(chain("any", {}));
  l.chains.push_back(chain("local", {.source_type = SourceType::same_ip_or_loopback}));
  l.chains.push_back(
      chain("external 192", {.source_type = SourceType::external, .source_prefix_ranges = cidrs({"192.168.0.0/16"})}));
  l.chains.push_back(chain(
      "port 7",
      {.source_type = SourceType::external, .source_prefix_ranges = cidrs({"192.168.0.0/16"}), .source_ports = {7}}));
  check(l, {{.name = "loopback", .source = "127.0.0.9:1", .want = "local"},
            {.name = "same address", .source = "10.0.0.1:1", .want = "local"},
            {.name = "external", .want = "external 192"},
            {.name = "port", .source = "192.168.1.1:7", .want = "port 7"},
            {.name = "external, but of no prefix: no way back", .source = "172.16.0.1:1", .want = ""}});
}
