#include "proxy/downstream/forwarded.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "proxy/downstream/request_id.h"

using namespace pillion;
using namespace pillion::downstream;
using config::HttpConnectionManager;

namespace {

Peer peer_at(std::string_view ip) {
  return {.address = *Address::parse_ip(ip, 40000), .ip = std::string(ip)};
}

struct Request {
  Arena arena;
  http::RequestHead head{arena};
  Random random{1};
  const std::vector<std::string> internal_only{"x-inside"};

  Request() {
    head.method = "GET";
    head.authority = "test";
    head.path = "/";
  }
  Origin apply(const HttpConnectionManager& manager, const Peer& peer) {
    return apply_forwarding(manager, peer, internal_only, random, head);
  }
  std::string value(std::string_view name) { return std::string(head.headers.get_all(name).value_or("-")); }
};

}  // namespace

TEST_CASE("forwarded: who the client is follows use_remote_address, trusted hops and skip_xff_append") {
  struct Case {
    const char* name;
    bool use_remote;
    uint32_t hops;
    bool skip;
    const char* given;  // "" = none
    const char* list;   // what the endpoint sees
    const char* remote;
    const char* external;
  };
  static constexpr Case kCases[] = {
      {"inside: kept", false, 0, false, "1.2.3.4", "1.2.3.4", "1.2.3.4", "-"},
      {"inside: not made", false, 0, false, "", "-", "127.0.0.1", "-"},
      {"inside: two hops", false, 2, false, "1.1.1.1, 2.2.2.2, 3.3.3.3", "1.1.1.1, 2.2.2.2, 3.3.3.3", "1.1.1.1", "-"},
      {"inside: fewer than the hops", false, 2, false, "1.1.1.1", "1.1.1.1", "127.0.0.1", "-"},
      {"edge: made", true, 0, false, "", "127.0.0.1", "127.0.0.1", "127.0.0.1"},
      {"edge: appended", true, 0, false, "1.2.3.4", "1.2.3.4,127.0.0.1", "127.0.0.1", "127.0.0.1"},
      {"edge: one hop", true, 1, false, "1.1.1.1, 2.2.2.2", "1.1.1.1, 2.2.2.2,127.0.0.1", "2.2.2.2", "2.2.2.2"},
      {"edge: rubbish", true, 0, false, "not an address", "not an address,127.0.0.1", "127.0.0.1", "127.0.0.1"},
      {"edge: not appended", true, 0, true, "1.2.3.4", "1.2.3.4", "127.0.0.1", "127.0.0.1"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    HttpConnectionManager manager;
    manager.use_remote_address = c.use_remote;
    manager.xff_trusted_hops = c.hops;
    manager.skip_xff_append = c.skip;
    Request r;
    if (c.given[0] != '\0') r.head.headers.add("x-forwarded-for", c.given);
    const Peer peer = peer_at("127.0.0.1");
    const Origin origin = r.apply(manager, peer);
    CHECK(r.value("x-forwarded-for") == c.list);
    CHECK(origin.remote.ip() == c.remote);
    CHECK(r.value("x-envoy-external-address") == c.external);
    CHECK_FALSE(origin.is_internal);
  }
}

TEST_CASE("forwarded: several x-forwarded-for fields become one, in their order") {
  HttpConnectionManager manager;
  manager.use_remote_address = true;
  Request r;
  r.head.headers.add("x-forwarded-for", "1.2.3.4");
  r.head.headers.add("X-Forwarded-For", "5.6.7.8");
  r.apply(manager, peer_at("127.0.0.1"));
  CHECK(r.value("x-forwarded-for") == "1.2.3.4,5.6.7.8,127.0.0.1");
  CHECK(r.head.headers.remove("x-forwarded-for") == 1);
}

TEST_CASE("forwarded: only an internal client may send the mesh's private headers") {
  HttpConnectionManager manager;
  manager.use_remote_address = true;
  manager.internal_addresses = {*Cidr::parse("10.0.0.0/8")};
  for (const char* ip : {"10.1.2.3", "11.1.2.3"}) {
    CAPTURE(ip);
    Request r;
    for (const char* name : {"X-Envoy-Retry-On", "x-envoy-upstream-rq-timeout-ms", "x-envoy-original-path", "x-inside",
                             "x-envoy-internal", "x-other"}) {
      r.head.headers.add(name, "1");
    }
    const bool inside = r.apply(manager, peer_at(ip)).is_internal;
    CHECK(inside == (std::string_view(ip) == "10.1.2.3"));
    CHECK(r.value("x-envoy-internal") == (inside ? "true" : "-"));
    for (const char* name :
         {"x-envoy-retry-on", "x-envoy-upstream-rq-timeout-ms", "x-envoy-original-path", "x-inside"}) {
      CAPTURE(name);
      CHECK(r.value(name) == (inside ? "1" : "-"));
    }
    CHECK(r.value("x-other") == "1");
  }
}

TEST_CASE("forwarded: x-forwarded-proto of an outsider is replaced, and gives the scheme") {
  struct Case {
    bool edge;
    bool tls;
    const char* given;
    const char* proto;
    const char* scheme;
  };
  static constexpr Case kCases[] = {
      {false, false, "", "http", "http"},         {false, true, "", "https", "https"},
      {false, false, "https", "https", "https"},  {true, false, "https", "http", "http"},
      {false, false, "gopher", "gopher", "http"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.given);
    CAPTURE(c.edge);
    HttpConnectionManager manager;
    manager.use_remote_address = c.edge;
    Request r;
    if (c.given[0] != '\0') r.head.headers.add("x-forwarded-proto", c.given);
    Peer peer = peer_at("127.0.0.1");
    peer.is_tls = c.tls;
    r.apply(manager, peer);
    CHECK(r.value("x-forwarded-proto") == c.proto);
    CHECK(r.head.scheme == c.scheme);
  }
}

TEST_CASE("forwarded: x-request-id is kept inside, replaced at the edge unless told to keep it") {
  struct Case {
    bool edge, preserve, generate;
    const char* given;
    bool kept;
  };
  static constexpr Case kCases[] = {
      {false, false, true, "mine", true}, {true, false, true, "mine", false}, {true, true, true, "mine", true},
      {true, true, true, "", false},      {true, false, false, "mine", true},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.edge);
    CAPTURE(c.preserve);
    HttpConnectionManager manager;
    manager.use_remote_address = c.edge;
    manager.preserve_external_request_id = c.preserve;
    manager.generate_request_id = c.generate;
    Request r;
    if (c.given[0] != '\0') r.head.headers.add("x-request-id", c.given);
    r.apply(manager, peer_at("127.0.0.1"));
    CHECK((r.value("x-request-id") == "mine") == c.kept);
    if (!c.kept) CHECK(r.value("x-request-id").size() == 36);
  }
}

TEST_CASE("request_id: a UUID of version 4, another one each time") {
  Arena arena;
  Random random(7);
  const std::string_view a = make_request_id(random, arena);
  const std::string_view b = make_request_id(random, arena);
  CHECK(a != b);
  for (const std::string_view id : {a, b}) {
    REQUIRE(id.size() == 36);
    for (const size_t dash : {8u, 13u, 18u, 23u}) CHECK(id[dash] == '-');
    CHECK(std::count(id.begin(), id.end(), '-') == 4);
    CHECK(id[14] == '4');
    CHECK(std::string_view("89ab").find(id[19]) != std::string_view::npos);
    CHECK(id.find_first_not_of("0123456789abcdef-") == std::string_view::npos);
  }
}

TEST_CASE("forwarded: x-forwarded-client-cert in each mode") {
  using Mode = HttpConnectionManager::ForwardClientCert;
  struct Case {
    Mode mode;
    bool certificate;
    const char* want;  // given is "old", ours is "new"
  };
  static constexpr Case kCases[] = {
      {Mode::sanitize, true, "-"},
      {Mode::sanitize, false, "-"},
      {Mode::forward_only, true, "old"},
      {Mode::forward_only, false, "-"},
      {Mode::append_forward, true, "old,new"},
      {Mode::append_forward, false, "-"},
      {Mode::sanitize_set, true, "new"},
      {Mode::sanitize_set, false, "-"},
      {Mode::always_forward_only, true, "old"},
      {Mode::always_forward_only, false, "old"},
  };
  for (const Case& c : kCases) {
    CAPTURE(static_cast<int>(c.mode));
    CAPTURE(c.certificate);
    HttpConnectionManager manager;
    manager.forward_client_cert = c.mode;
    Peer peer = peer_at("127.0.0.1");
    peer.has_certificate = c.certificate;
    peer.certificate = "new";
    Request r;
    r.head.headers.add("X-Forwarded-Client-Cert", "old");
    r.apply(manager, peer);
    CHECK(r.value("x-forwarded-client-cert") == c.want);
  }
}

TEST_CASE("forwarded: the certificate's element has Envoy's keys in Envoy's order") {
  HttpConnectionManager manager;
  net::TlsInfo tls;
  tls.local_uri_san = "spiffe://mesh/server";
  tls.peer_certificate_hash = "ab12";
  tls.peer_subject = "CN=client";
  tls.peer_uri_san = "spiffe://mesh/client";
  tls.peer_dns_sans = {"a.test", "b.test"};
  CHECK(client_certificate_element(manager, tls, {}) == "By=spiffe://mesh/server;Hash=ab12");
  manager.xfcc_subject = manager.xfcc_uri = manager.xfcc_dns = manager.xfcc_cert = true;
  CHECK(client_certificate_element(manager, tls, {"\x01\x02\xff"}) ==
        "By=spiffe://mesh/"
        "server;Hash=ab12;Cert=\"-----BEGIN%20CERTIFICATE-----%0AAQL%2F%0A-----END%20CERTIFICATE-----%0A\";"
        "Subject=\"CN=client\";URI=spiffe://mesh/client;DNS=a.test;DNS=b.test");
}

TEST_CASE("normalise: paths in one spelling") {
  struct Case {
    const char* given;
    const char* want;  // null: refused
  };
  static constexpr Case kCases[] = {
      {"/a/b/../c", "/a/c"},
      {"/a/b/..", "/a/"},
      {"/../../a", "/a"},
      {"/a//b///c", "/a/b/c"},
      {"/%61%62", "/ab"},
      {"/a/%2e%2e/b", "/b"},
      {"/a%2Fb", "/a/b"},
      {"/a%5cb", "/a/b"},
      {"/a\\b", "/a/b"},
      {"/a%zz", "/a%zz"},
      {"/a%00", nullptr},
      {"/a#b", nullptr},
      {"/a/../b?x=/c/../d//e%2F", "/b?x=/c/../d//e%2F"},
      {"/a/.", "/a/"},
      {"/...", "/..."},
      {"/.a/..b", "/.a/..b"},
      {"/a/%2E", "/a/"},
      {"/", "/"},
      {"*", "*"},
  };
  HttpConnectionManager manager;
  manager.normalize_path = manager.merge_slashes = true;
  manager.escaped_slashes = HttpConnectionManager::EscapedSlashes::unescape_forward;
  for (const Case& c : kCases) {
    CAPTURE(c.given);
    Request r;
    r.head.path = c.given;
    const auto refused = normalise_request(manager, 80, r.head);
    REQUIRE(refused.has_value() == (c.want == nullptr));
    if (refused) {
      CHECK(refused->status == 400);
    } else {
      CHECK(r.head.path == c.want);
    }
  }
}

TEST_CASE("normalise: an escaped slash is refused or redirected where asked") {
  HttpConnectionManager manager;
  manager.escaped_slashes = HttpConnectionManager::EscapedSlashes::reject;
  Request r;
  r.head.path = "/a%2fb";
  REQUIRE(normalise_request(manager, 80, r.head));
  manager.escaped_slashes = HttpConnectionManager::EscapedSlashes::unescape_redirect;
  const auto redirect = normalise_request(manager, 80, r.head);
  REQUIRE(redirect);
  CHECK(redirect->status == 307);
  CHECK(redirect->location == "/a/b");
}

TEST_CASE("normalise: hosts without port and trailing dot, where asked") {
  struct Case {
    const char* given;
    bool any, matching, dot;
    const char* want;
  };
  static constexpr Case kCases[] = {
      {"h:8080", true, false, false, "h"},       {"h:8080", false, true, false, "h"},
      {"h:81", false, true, false, "h:81"},      {"[::1]:8080", true, false, false, "[::1]"},
      {"[::1]", true, false, false, "[::1]"},    {"h.", false, false, true, "h"},
      {"h.:8080", false, false, true, "h:8080"}, {"h:8080", false, false, false, "h:8080"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.given);
    HttpConnectionManager manager;
    manager.strip_any_host_port = c.any;
    manager.strip_matching_host_port = c.matching;
    manager.strip_trailing_host_dot = c.dot;
    Request r;
    r.head.authority = c.given;
    CHECK_FALSE(normalise_request(manager, 8080, r.head));
    CHECK(r.head.authority == c.want);
  }
}

TEST_CASE("normalise: header names with underscores pass, fall away, or end the request") {
  using Underscores = HttpConnectionManager::Underscores;
  for (const Underscores action : {Underscores::allow, Underscores::drop_header, Underscores::reject_request}) {
    CAPTURE(static_cast<int>(action));
    HttpConnectionManager manager;
    manager.headers_with_underscores = action;
    Request r;
    r.head.headers.add("x_y", "1");
    r.head.headers.add("x-y", "2");
    CHECK(normalise_request(manager, 80, r.head).has_value() == (action == Underscores::reject_request));
    CHECK(r.value("x_y") == (action == Underscores::drop_header ? "-" : "1"));
    CHECK(r.value("x-y") == "2");
  }
}

TEST_CASE("forwarded: server, date and via of a response") {
  using Mode = HttpConnectionManager::ServerHeader;
  struct Case {
    Mode mode;
    const char* given;
    const char* want;
  };
  static constexpr Case kCases[] = {
      {Mode::overwrite, "", "ours"},          {Mode::overwrite, "nginx", "ours"},
      {Mode::append_if_absent, "", "ours"},   {Mode::append_if_absent, "nginx", "nginx"},
      {Mode::pass_through, "nginx", "nginx"}, {Mode::pass_through, "", ""},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.given);
    HttpConnectionManager manager;
    manager.server_header = c.mode;
    manager.server_name = "ours";
    manager.via = "here";
    Arena arena;
    http::ResponseHead head(arena);
    if (c.given[0] != '\0') head.headers.add("Server", c.given);
    finish_response(manager, nullptr, "now", head);
    CHECK(head.headers.get(http::HeaderId::server) == c.want);
    CHECK(head.headers.get(http::HeaderId::date) == "now");
    CHECK(head.headers.get(http::HeaderId::via) == "here");
    finish_response(manager, nullptr, "later", head);
    CHECK(head.headers.get(http::HeaderId::date) == "now");
  }
}
