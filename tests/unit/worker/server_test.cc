// The whole data plane over loopback: sockets, workers, intake, HTTP connections and tunnels, from a snapshot that is
// made by hand.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "proxy/worker/server.h"

using namespace pillion;

namespace {

int connected(const Address& to) {
  const int fd = socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  timeval limit{.tv_sec = 10, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  sockaddr_storage storage;
  const socklen_t length = to.to_sockaddr(storage);
  if (connect(fd, reinterpret_cast<sockaddr*>(&storage), length) == 0) return fd;
  close(fd);
  return -1;
}

void say(int fd, std::string_view text) {
  CHECK(send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

std::string hear(int fd, const std::function<bool(const std::string&)>& enough) {
  std::string out;
  char buffer[4096];
  while (!enough(out)) {
    const ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
    if (n <= 0) break;
    out.append(buffer, static_cast<size_t>(n));
  }
  return out;
}

std::string hear_all(int fd) {
  return hear(fd, [](const std::string&) { return false; });
}

// One thread per connection; each ends with its peer.
class Origin {
 public:
  using Serve = void (*)(int fd);
  explicit Origin(Serve serve) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    REQUIRE(listen(fd_, 16) == 0);
    sockaddr_storage storage{};
    socklen_t length = sizeof(storage);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&storage), &length);
    address_ = *Address::from_sockaddr(reinterpret_cast<sockaddr*>(&storage));
    thread_ = std::thread([this, serve] {
      std::vector<std::thread> threads;
      int one;
      while ((one = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0) {
        threads.emplace_back([one, serve] {
          serve(one);
          close(one);
        });
      }
      for (std::thread& t : threads) t.join();
    });
  }
  ~Origin() {
    shutdown(fd_, SHUT_RDWR);
    thread_.join();
    close(fd_);
  }
  const Address& address() const { return address_; }

 private:
  int fd_;
  Address address_;
  std::thread thread_;
};

bool has_head(const std::string& text) {
  return text.find("\r\n\r\n") != std::string::npos;
}

void serve_http(int fd) {
  while (!hear(fd, has_head).empty()) say(fd, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
}
void serve_echo(int fd) {
  const std::string all = hear_all(fd);
  say(fd, all + "<fin>");
}
void serve_banner(int fd) {
  say(fd, "INFO\r\n");
  hear_all(fd);
}

std::shared_ptr<const config::Cluster> cluster_of(const std::string& name, const Address& address) {
  auto assignment = std::make_shared<config::EndpointAssignment>();
  assignment->name = name;
  assignment->localities.push_back({.endpoints = {{.address = address}}});
  auto cluster = std::make_shared<config::Cluster>();
  cluster->name = name;
  cluster->hash = 1;
  cluster->inline_endpoints = assignment;
  return cluster;
}

config::FilterChain tcp_chain(const std::string& cluster) {
  config::TcpProxy proxy;
  proxy.stat_prefix = "t";
  proxy.clusters.push_back({.cluster = cluster});
  config::FilterChain chain;
  chain.terminal = std::move(proxy);
  return chain;
}

config::FilterChain http_chain(const std::string& cluster) {
  config::RouteAction action;
  action.clusters.push_back({.cluster = cluster});
  config::Route route;
  route.match.path.text = "/";
  route.action = std::move(action);
  config::VirtualHost host;
  host.name = "all";
  host.domains = {"*"};
  host.routes.push_back(std::move(route));
  auto routes = std::make_shared<config::RouteConfiguration>();
  routes->virtual_hosts.push_back(std::move(host));
  routes->build_index();
  config::HttpConnectionManager manager;
  manager.stat_prefix = "h";
  manager.routes = routes;
  config::FilterChain chain;
  chain.match.application_protocols = {"http/1.0", "http/1.1", "h2c"};
  chain.terminal = std::move(manager);
  return chain;
}

struct Fixture {
  explicit Fixture(worker::ServerOptions options = {.concurrency = 2, .seed = 3})
      : loop(1, slab), server(worker::make_server(loop, registry, options)) {}

  void add_cluster(const std::string& name, const Address& address) {
    next.clusters.insert_or_assign(name, cluster_of(name, address));
  }
  void add_listener(const std::string& name, std::vector<config::FilterChain> chains, bool inspect) {
    auto listener = std::make_shared<config::Listener>();
    listener->name = name;
    listener->addresses = {*Address::parse("127.0.0.1:0")};
    listener->chains = std::move(chains);
    listener->tls_inspector = listener->http_inspector = inspect;
    listener->hash = ++next.sequence;
    next.listeners.insert_or_assign(name, listener);
  }
  void publish() { server->publish(std::make_shared<config::Snapshot>(next)); }
  Address address(const std::string& name) {
    for (const worker::ListenerStatus& status : server->listeners()) {
      CHECK(status.error == "");
      if (status.name == name) return status.addresses.at(0);
    }
    return {};
  }
  // Runs the main loop while `client` runs on a thread of its own.
  void run(const std::function<void()>& client) {
    std::thread thread([&] {
      client();
      loop.stop();
    });
    loop.run();
    thread.join();
  }

  StatRegistry registry;
  StatSlab slab;
  event::Loop loop;
  config::Snapshot next;
  std::unique_ptr<worker::Server> server;
};

}  // namespace

TEST_CASE("server: HTTP/1 goes to the HTTP chain, and a connection carries several requests") {
  Origin origin(serve_http);
  Fixture f;
  f.add_cluster("web", origin.address());
  f.add_listener("web", {http_chain("web"), tcp_chain("nobody")}, true);
  f.publish();
  const Address to = f.address("web");
  f.run([&] {
    const int fd = connected(to);
    for (int i = 0; i < 3; ++i) {
      say(fd, "GET / HTTP/1.1\r\nHost: t\r\n\r\n");
      const std::string answer = hear(fd, [](const std::string& s) { return s.ends_with("hello"); });
      CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    close(fd);
  });
  CHECK(f.registry.value("cluster.web.upstream_rq_total") == 3);
  CHECK(f.registry.value("listener.127.0.0.1_0.downstream_cx_total") == 1);
}

TEST_CASE("server: a tunnel carries bytes and the half-close both ways") {
  Origin origin(serve_echo);
  Fixture f;
  f.add_cluster("echo", origin.address());
  f.add_listener("tcp", {tcp_chain("echo")}, false);
  f.publish();
  const Address to = f.address("tcp");
  const std::string bulk(3'000'000, 'x');
  f.run([&] {
    for (const std::string& text : {std::string("hello"), std::string(), bulk}) {
      const int fd = connected(to);
      std::thread sender([&] {
        say(fd, text);
        shutdown(fd, SHUT_WR);
      });
      CHECK(hear_all(fd) == text + "<fin>");
      sender.join();
      close(fd);
    }
  });
  CHECK(f.registry.value("tcp.t.downstream_cx_total") == 3);
}

TEST_CASE("server: a server that speaks first is heard, where HTTP is looked for too") {
  Origin banner(serve_banner);
  Origin web(serve_http);
  Fixture f;
  f.add_cluster("web", web.address());
  f.add_cluster("first", banner.address());
  f.add_listener("both", {http_chain("web"), tcp_chain("first")}, true);
  f.publish();
  const Address to = f.address("both");
  f.run([&] {
    for (int i = 0; i < 3; ++i) {
      const int silent = connected(to);
      CHECK(hear(silent, [](const std::string& s) { return s.ends_with("\n"); }) == "INFO\r\n");
      close(silent);
    }
  });
  // By now the server is expected to speak first. A request that is there when the connection is accepted is before it.
  const int fd = connected(to);
  say(fd, "GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
  f.run([&] { CHECK(hear_all(fd).ends_with("hello")); });
  close(fd);
}

TEST_CASE("server: without a cluster, an endpoint or a chain the connection ends") {
  Fixture f;
  auto empty = std::make_shared<config::Cluster>();
  empty->name = "empty";
  f.next.clusters.insert_or_assign("empty", empty);
  f.add_listener("none", {tcp_chain("nobody")}, false);
  f.add_listener("empty", {tcp_chain("empty")}, false);
  config::FilterChain picky = tcp_chain("nobody");
  picky.match.destination_port = 1;
  f.add_listener("picky", {picky}, false);
  f.publish();
  const Address none = f.address("none");
  const Address no_endpoint = f.address("empty");
  const Address no_chain = f.address("picky");
  f.run([&] {
    for (const Address& to : {none, no_endpoint, no_chain}) {
      const int fd = connected(to);
      CHECK(hear_all(fd) == "");
      close(fd);
    }
  });
  CHECK(f.registry.value("tcp.t.downstream_cx_no_route") == 1);
  CHECK(f.registry.value("listener.127.0.0.1_0.no_filter_chain_match") == 1);
}

TEST_CASE("server: connections that come before the configuration are held and then served") {
  Origin origin(serve_echo);
  // A port that is free now; another process may take it before we do, then the test finds out.
  uint16_t port = 0;
  {
    Origin probe(serve_echo);
    port = probe.address().port();
  }
  const Address capture = *Address::parse_ip("127.0.0.1", port);
  Fixture f({.concurrency = 1, .seed = 3, .bind_at_start = {capture}});
  f.add_cluster("echo", origin.address());
  f.add_listener("capture", {tcp_chain("echo")}, false);
  auto listener = std::make_shared<config::Listener>(*f.next.listeners.get("capture"));
  listener->addresses = {capture};
  f.next.listeners.insert_or_assign("capture", listener);
  int early = -1;
  f.run([&] {
    early = connected(capture);
    REQUIRE(early >= 0);
    say(early, "early");
    shutdown(early, SHUT_WR);
  });
  f.publish();
  f.run([&] { CHECK(hear_all(early) == "early<fin>"); });
  close(early);
}

TEST_CASE("server: held connections that no listener of the configuration wants are closed") {
  Origin origin(serve_echo);
  const Address capture = *Address::parse_ip("127.0.0.1", Origin(serve_echo).address().port());
  const Address other = *Address::parse_ip("127.0.0.2", capture.port());
  Fixture f({.concurrency = 1, .seed = 3, .bind_at_start = {capture, other}});
  f.add_cluster("echo", origin.address());
  f.add_listener("capture", {tcp_chain("echo")}, false);
  auto listener = std::make_shared<config::Listener>(*f.next.listeners.get("capture"));
  listener->addresses = {capture};
  f.next.listeners.insert_or_assign("capture", listener);
  int unwanted = -1;
  f.run([&] {
    unwanted = connected(other);
    REQUIRE(unwanted >= 0);
    const int early = connected(capture);
    REQUIRE(early >= 0);
    close(early);
  });
  f.publish();
  f.run([&] {
    char byte = 0;
    const ssize_t n = recv(unwanted, &byte, 1, 0);
    CHECK((n == 0 || (n < 0 && errno == ECONNRESET)));
  });
  close(unwanted);
}

TEST_CASE("server: draining refuses new connections of inbound listeners and lets tunnels and outbound go on") {
  Origin origin(serve_echo);
  Fixture f;
  f.add_cluster("echo", origin.address());
  f.add_listener("in", {tcp_chain("echo")}, false);
  f.add_listener("out", {tcp_chain("echo")}, false);
  auto out = std::make_shared<config::Listener>(*f.next.listeners.get("out"));
  out->direction = config::Listener::Direction::outbound;
  f.next.listeners.insert_or_assign("out", out);
  f.publish();
  const Address in_address = f.address("in");
  const Address out_address = f.address("out");
  int fd = -1;
  f.run([&] {
    fd = connected(in_address);
    say(fd, "a");
  });
  f.server->drain_listeners(true);
  CHECK(f.server->is_draining());
  f.run([&] {
    CHECK(connected(in_address) == -1);
    say(fd, "b");
    shutdown(fd, SHUT_WR);
    CHECK(hear_all(fd) == "ab<fin>");
    close(fd);
    const int other = connected(out_address);
    REQUIRE(other >= 0);
    shutdown(other, SHUT_WR);
    CHECK(hear_all(other) == "<fin>");
    close(other);
  });
}

TEST_CASE("server: a listener that left the configuration is closed, and an address in use is told") {
  Fixture f;
  f.add_listener("a", {tcp_chain("x")}, false);
  f.publish();
  const Address a = f.address("a");
  auto taken = std::make_shared<config::Listener>();
  taken->name = "taken";
  taken->addresses = {a};
  taken->chains = {tcp_chain("x")};
  f.next.listeners.insert_or_assign("taken", taken);
  f.publish();
  REQUIRE(f.server->listeners().size() == 2);
  CHECK(f.server->listeners()[1].error.find("EADDRINUSE") != std::string::npos);
  f.next.listeners.erase("a");
  f.publish();  // the address is free only after this
  f.publish();
  CHECK(f.server->listeners()[0].error == "");
  f.next.listeners.clear();
  f.add_listener("other", {tcp_chain("x")}, false);
  f.publish();
  CHECK(connected(a) == -1);
}
