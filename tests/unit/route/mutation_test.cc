#include "proxy/route/mutation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace pillion;
using Action = config::HeaderToAdd::Action;

namespace {

config::HeaderToAdd add(std::string name, std::string_view value, Action action = Action::append_if_exists_or_add,
                        bool keep_empty = false) {
  auto format = config::Format::compile(value);
  REQUIRE(format.has_value());
  return {std::move(name), std::move(*format), action, keep_empty};
}

// Headers of the request come from the head, so that a test sees when a value is made.
struct Values final : config::FormatSource {
  explicit Values(const http::HeaderMap& headers) : headers_(headers) {}
  bool append(const config::FormatOp& op, std::string& out) const override {
    if (op.kind == config::FormatOp::Kind::upstream_cluster) {
      out += "line\r\nbreak";
      return true;
    }
    const http::Header* const found = headers_.find(op.text);
    if (found == nullptr) return false;
    out += found->value;
    return true;
  }

 private:
  const http::HeaderMap& headers_;
};

struct Request {
  Arena arena;
  http::RequestHead head{arena};
  Values values{head.headers};
  explicit Request(std::string_view path = "/", std::string_view authority = "test") {
    head.method = "GET";
    head.scheme = "http";
    head.authority = authority;
    head.path = path;
  }
};

std::string dump(const http::HeaderMap& headers, std::string_view only = "") {
  std::string out;
  for (const http::Header& h : headers) {
    if (!only.empty() && !http::equals_ignore_case(h.name, only)) continue;
    if (!out.empty()) out += '|';
    out += (only.empty() ? std::string(h.name) + "=" : "") + std::string(h.value);
  }
  return out;
}

// Every level adds its name to x-level and removes x-drop-<level>, in both directions.
struct FourLevels {
  config::RouteConfiguration routes;
  config::WeightedCluster cluster;
  explicit FourLevels(Action action = Action::append_if_exists_or_add) {
    routes.virtual_hosts.resize(1);
    routes.virtual_hosts[0].routes.resize(1);
    fill(cluster.mutations, "cluster", action);
    fill(routes.virtual_hosts[0].routes[0].mutations, "route", action);
    fill(routes.virtual_hosts[0].mutations, "vhost", action);
    fill(routes.mutations, "config", action);
  }
  static void fill(config::HeaderMutations& m, const std::string& level, Action action) {
    m.request_add.push_back(add("x-level", level, action));
    m.response_add.push_back(add("x-level", level, action));
    m.request_remove.push_back("x-drop-" + level);
    m.response_remove.push_back("x-drop-" + level);
  }
  route::RouteMatch match() const { return {&routes.virtual_hosts[0], &routes.virtual_hosts[0].routes[0]}; }
};

// One level, applied to a request.
std::string mutated(std::vector<config::HeaderToAdd> list, std::vector<std::string> remove, Request& request,
                    std::string_view only = "") {
  config::RouteConfiguration routes;
  routes.mutations.request_add = std::move(list);
  routes.mutations.request_remove = std::move(remove);
  route::mutate_request(routes, {}, nullptr, request.values, request.head);
  return dump(request.head.headers, only);
}

}  // namespace

TEST_CASE("mutation: levels go from the most specific to the outermost, or the other way round behind the cluster") {
  FourLevels levels;
  Request request;
  route::mutate_request(levels.routes, levels.match(), &levels.cluster, request.values, request.head);
  CHECK(dump(request.head.headers) == "x-level=cluster|x-level=route|x-level=vhost|x-level=config");
  levels.routes.most_specific_mutations_last = true;
  Request other;
  route::mutate_request(levels.routes, levels.match(), &levels.cluster, other.values, other.head);
  CHECK(dump(other.head.headers) == "x-level=cluster|x-level=config|x-level=vhost|x-level=route");
  Request outer;
  route::mutate_request(levels.routes, {levels.match().virtual_host, nullptr}, nullptr, outer.values, outer.head);
  CHECK(dump(outer.head.headers) == "x-level=config|x-level=vhost");
}

TEST_CASE("mutation: of overwriting levels the last one wins") {
  FourLevels levels(Action::overwrite_if_exists_or_add);
  Request request;
  route::mutate_request(levels.routes, levels.match(), &levels.cluster, request.values, request.head);
  CHECK(dump(request.head.headers) == "x-level=config");
  levels.routes.most_specific_mutations_last = true;
  Request other;
  route::mutate_request(levels.routes, levels.match(), &levels.cluster, other.values, other.head);
  CHECK(dump(other.head.headers) == "x-level=route");
}

TEST_CASE("mutation: responses have the same levels, and every level removes") {
  const FourLevels levels;
  Arena arena;
  http::ResponseHead head(arena);
  const Values values(head.headers);
  for (const char* name : {"X-Level", "x-drop-cluster", "X-Drop-Route", "x-drop-vhost", "X-DROP-CONFIG", "x-keep"}) {
    head.headers.add(name, "origin");
  }
  route::mutate_response(levels.routes, levels.match(), &levels.cluster, values, head);
  CHECK(dump(head.headers) ==
        "X-Level=origin|x-keep=origin|x-level=cluster|x-level=route|x-level=vhost|x-level=config");
  Request request;
  for (const char* name : {"x-drop-cluster", "X-Drop-Route", "x-drop-vhost", "X-DROP-CONFIG", "x-keep"}) {
    request.head.headers.add(name, "1");
  }
  route::mutate_request(levels.routes, levels.match(), &levels.cluster, request.values, request.head);
  CHECK(dump(request.head.headers, "x-keep") == "1");
  CHECK(request.head.headers.size() == 5);
}

TEST_CASE("mutation: the four actions on headers that are there, repeated and absent") {
  const auto actions = [] {
    return std::vector{add("x-append", "new"), add("x-if-absent", "new", Action::add_if_absent),
                       add("x-overwrite", "new", Action::overwrite_if_exists_or_add),
                       add("x-only-if-there", "new", Action::overwrite_if_exists)};
  };
  Request absent;
  CHECK(mutated(actions(), {}, absent) == "x-overwrite=new|x-append=new|x-if-absent=new");
  Request there;
  for (const char* name : {"X-Append", "X-If-Absent", "X-Overwrite", "X-Only-If-There"}) {
    there.head.headers.add(name, "a");
    there.head.headers.add(name, "b");
  }
  CHECK(mutated(actions(), {}, there) ==
        "X-Append=a|X-Append=b|X-If-Absent=a|X-If-Absent=b|X-Overwrite=new|X-Only-If-There=new|x-append=new");
}

// As Envoy 1.40 answered.
TEST_CASE("mutation: values of a level are made before any of them is set") {
  Request request;
  request.head.headers.add("x-o", "A");
  request.head.headers.add("x-o", "B");
  request.head.headers.add("x-gone", "1");
  CHECK(mutated({add("X-One", "1"), add("x-two", "%REQ(x-one)%"), add("x-s", "a", Action::add_if_absent),
                 add("x-s", "b", Action::add_if_absent), add("x-o", "app"),
                 add("x-o", "new%REQ(x-o)%", Action::overwrite_if_exists_or_add), add("x-three", "%REQ(x-gone)%")},
                {"x-gone"}, request) == "x-o=newA|X-One=1|x-s=a|x-s=b|x-o=app");
}

TEST_CASE("mutation: empty values are left out, kept when asked; what is no field value never goes out") {
  Request request;
  request.head.headers.add("x-set", "old");
  CHECK(mutated({add("x-missing", "%REQ(x-none)%"), add("x-empty", "%REQ(x-none)%", Action::add_if_absent, true),
                 add("x-set", "%REQ(x-none)%", Action::overwrite_if_exists), add("x-break", "a%UPSTREAM_CLUSTER%"),
                 add("x-space", " v "), add("x-percent", "100%%")},
                {}, request) == "x-set=old|x-empty=|x-space=v|x-percent=100%");
}

TEST_CASE("mutation: fields with a single value grow instead of being repeated") {
  Request request;
  for (const char* name : {"content-type", "User-Agent", "cookie", "x-own"}) request.head.headers.add(name, "orig");
  CHECK(mutated({add("Content-Type", "t"), add("user-agent", "t"), add("cookie", "t"), add("x-own", "t"),
                 add("via", "1"), add("via", "2")},
                {},
                request) == "content-type=orig,t|User-Agent=orig,t|cookie=orig|x-own=orig|cookie=t|x-own=t|via=1,2");
}

TEST_CASE("mutation: pseudo-headers, Host and framing are not touched") {
  Request request("/p", "host.test");
  request.head.content_length = 5;
  CHECK(mutated({add(":path", "/other"), add("Host", "evil"), add("transfer-encoding", "chunked"),
                 add("content-length", "1"), add("Connection", "close"), add("x-ok", "1")},
                {":authority", "host", "content-length"}, request) == "x-ok=1");
  CHECK(request.head.authority == "host.test");
  CHECK(request.head.path == "/p");
  CHECK(request.head.content_length == 5);
}

TEST_CASE("mutation: internal-only headers are taken out in any case") {
  config::RouteConfiguration routes;
  routes.internal_only_headers = {"x-internal"};
  Request request;
  request.head.headers.add("X-Internal", "1");
  request.head.headers.add("x-other", "1");
  route::remove_internal_only(routes, request.head);
  CHECK(dump(request.head.headers) == "x-other=1");
}

TEST_CASE("mutation: a long value and many additions survive the scratch space") {
  Request request;
  const std::string value(10'000, 'v');
  std::vector<config::HeaderToAdd> list;
  for (int i = 0; i < 200; ++i) list.push_back(add("x-" + std::to_string(i), value + std::to_string(i)));
  mutated(std::move(list), {}, request);
  REQUIRE(request.head.headers.size() == 200);
  CHECK(request.head.headers.find("x-199")->value == value + "199");
  CHECK(request.head.headers.find("x-0")->value == value + "0");
}
