#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "proxy/net/cares_resolver.h"

using namespace pillion;

namespace {

// A DNS server on loopback that is polled by hand. It knows a few names, and keeps silent about others.
class DnsServer {
 public:
  struct Record {
    uint16_t type;  // 1 = A, 28 = AAAA
    std::string data;
    uint32_t ttl;
  };
  DnsServer() {
    fd_ = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    REQUIRE(bind(fd_, reinterpret_cast<sockaddr*>(&address), length) == 0);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
    port = ntohs(address.sin_port);
  }
  ~DnsServer() { close(fd_); }
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  void poll() {
    char query[512];
    sockaddr_in from{};
    socklen_t length = sizeof(from);
    for (;;) {
      const ssize_t n = recvfrom(fd_, query, sizeof(query), 0, reinterpret_cast<sockaddr*>(&from), &length);
      if (n < 12) return;
      const std::string answer = answer_to(std::string(query, static_cast<size_t>(n)));
      if (answer.empty()) continue;
      sendto(fd_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), length);
    }
  }

  uint16_t port = 0;
  int queries = 0;
  std::map<std::string, std::vector<Record>> names;
  std::map<std::string, int> errors;       // by name: RCODE; -1 = silence
  std::map<std::string, std::string> raw;  // by name: what stands behind the question, and is no record

 private:
  std::string answer_to(const std::string& query) {
    ++queries;
    std::string name;
    size_t at = 12;
    while (at < query.size() && query[at] != 0) {
      const auto label = static_cast<size_t>(query[at]);
      if (!name.empty()) name += '.';
      name += query.substr(at + 1, label);
      at += label + 1;
    }
    const size_t question_end = at + 5;
    const auto type = static_cast<uint16_t>(static_cast<uint8_t>(query[at + 2]));
    const auto known = names.find(name);
    int rcode = known == names.end() ? 3 : 0;
    if (const auto e = errors.find(name); e != errors.end()) rcode = e->second;
    if (rcode < 0) return {};
    std::string records;
    int count = 0;
    if (rcode == 0) {
      for (const Record& r : known->second) {
        if (r.type != type) continue;
        ++count;
        records += std::string("\xc0\x0c\x00", 3) + static_cast<char>(r.type) + std::string("\x00\x01", 2);
        for (const int shift : {24, 16, 8, 0}) records += static_cast<char>(r.ttl >> shift);
        records += std::string(1, '\0') + static_cast<char>(r.data.size()) + r.data;
      }
    }
    std::string answer = query.substr(0, 2) + '\x81' + static_cast<char>(0x80 | rcode) + query.substr(4, 2) + '\0';
    const auto odd = raw.find(name);
    if (odd != raw.end()) {
      records = odd->second;
      count = 3;
    }
    answer += static_cast<char>(count);
    answer += std::string(4, '\0') + query.substr(12, question_end - 12) + records;
    return answer;
  }
  int fd_;
};

std::string v4(int last) {
  return std::string("\x0a\x00\x00", 3) + static_cast<char>(last);
}
std::string v6(int last) {
  return "\xfd" + std::string(14, '\0') + static_cast<char>(last);
}

struct Answer final : net::ResolveEvents {
  void on_resolved(const net::ResolveResult& r) override {
    ++answers;
    ttl = r.ttl;
    for (const Address& a : r.addresses) addresses.push_back(a.ip());
    std::sort(addresses.begin(), addresses.end());
  }
  void on_resolve_failed(const Error& why) override {
    ++failures;
    error = why;
  }
  bool done() const { return answers + failures > 0; }
  int answers = 0, failures = 0;
  std::vector<std::string> addresses;
  Duration ttl{};
  Error error;
};

struct Fixture {
  explicit Fixture(Duration timeout = Duration{5'000'000}, int tries = 1) : loop(7, stats) {
    resolver = net::make_cares_resolver(loop, {.servers = "127.0.0.1:" + std::to_string(server.port),
                                               .use_search_domains = false,
                                               .timeout = timeout,
                                               .tries = tries});
    REQUIRE(resolver != nullptr);
    server.names["a.test"] = {{1, v4(1), 30}, {1, v4(2), 7}};
    server.names["both.test"] = {{1, v4(1), 30}, {28, v6(1), 60}};
    server.names["six.test"] = {{28, v6(1), 60}};
    server.names["empty.test"] = {};
  }
  template <class Done>
  bool run_until(Done done) {
    for (int turn = 0; turn < 10'000 && !done(); ++turn) {
      server.poll();
      loop.run_once(false);
      if (turn > 100) usleep(500);
    }
    return done();
  }
  StatSlab stats;
  event::Loop loop;
  DnsServer server;
  std::unique_ptr<net::Resolver> resolver;
};

}  // namespace

TEST_CASE("resolver: answers by family, with the smallest TTL") {
  struct Case {
    const char* name;
    net::DnsFamily family;
    std::vector<std::string> want;
    int ttl_seconds;
  };
  using Family = net::DnsFamily;
  const Case kCases[] = {
      {"a.test", Family::v4_only, {"10.0.0.1", "10.0.0.2"}, 7},
      {"a.test", Family::v6_only, {}, 0},
      {"a.test", Family::automatic, {"10.0.0.1", "10.0.0.2"}, 7},
      {"both.test", Family::automatic, {"fd00::1"}, 60},
      {"both.test", Family::v4_preferred, {"10.0.0.1"}, 30},
      {"both.test", Family::all, {"10.0.0.1", "fd00::1"}, 30},
      {"six.test", Family::v4_preferred, {"fd00::1"}, 60},
      {"six.test", Family::v6_only, {"fd00::1"}, 60},
      {"empty.test", Family::all, {}, 0},
      {"nowhere.test", Family::all, {}, 0},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    CAPTURE(static_cast<int>(c.family));
    Fixture f;
    Answer answer;
    const auto resolution = f.resolver->resolve(c.name, c.family, answer);
    CHECK(!answer.done());
    REQUIRE(f.run_until([&] { return answer.done(); }));
    CHECK(answer.failures == 0);
    CHECK(answer.addresses == c.want);
    CHECK(answer.ttl == Duration{c.ttl_seconds * 1'000'000});
  }
}

TEST_CASE("resolver: literals and /etc/hosts need no query") {
  for (const char* name : {"10.1.2.3", "fd00::5", "localhost"}) {
    CAPTURE(name);
    Fixture f;
    Answer answer;
    const auto resolution = f.resolver->resolve(name, net::DnsFamily::v4_preferred, answer);
    CHECK(!answer.done());
    REQUIRE(f.run_until([&] { return answer.done(); }));
    CHECK(answer.answers == 1);
    CHECK(!answer.addresses.empty());
    CHECK(f.server.queries == 0);
  }
}

TEST_CASE("resolver: a server that fails or keeps silent is a failure, not an empty answer") {
  for (const int error : {2, 5, -1}) {  // SERVFAIL, REFUSED, silence
    CAPTURE(error);
    Fixture f(Duration{50'000});
    f.server.errors["a.test"] = error;
    Answer answer;
    const auto resolution = f.resolver->resolve("a.test", net::DnsFamily::v4_only, answer);
    REQUIRE(f.run_until([&] { return answer.done(); }));
    CHECK(answer.failures == 1);
    CHECK(answer.answers == 0);
    CHECK((answer.error.code == Code::connect_timeout) == (error == -1));
  }
}

TEST_CASE("resolver: a query that was dropped is not heard of again, also not when the resolver goes") {
  Fixture f;
  f.server.errors["silent.test"] = -1;
  Answer dropped, other, waiting;
  auto resolution = f.resolver->resolve("a.test", net::DnsFamily::v4_only, dropped);
  const auto second = f.resolver->resolve("both.test", net::DnsFamily::v4_only, other);
  auto third = f.resolver->resolve("silent.test", net::DnsFamily::v4_only, waiting);
  resolution.reset();
  REQUIRE(f.run_until([&] { return other.done(); }));
  for (int i = 0; i < 50; ++i) f.loop.run_once(false);
  CHECK(!dropped.done());
  third.reset();
  f.resolver.reset();
  for (int i = 0; i < 50; ++i) f.loop.run_once(false);
  CHECK(!waiting.done());
}

TEST_CASE("fault_28_dns: answers that loop, lie about their lengths or break off are failures") {
  Fixture f(Duration{200'000});
  const std::string a_head("\x00\x01\x00\x01\x00\x00\x00\x3c", 8);
  const std::string here = "\xc0\x1c";  // a name that points to itself: the records begin at octet 28 for "odd.N.test"
  const std::string cases[] = {
      "",
      "\xc0",
      here + a_head + std::string("\x00\x04", 2) + v4(1),
      std::string("\xc0\xff", 2) + a_head + std::string("\x00\x04", 2) + v4(1),
      std::string("\xc0\x0c", 2) + a_head + std::string("\xff\xff", 2) + v4(1),
      std::string("\xc0\x0c", 2) + a_head + std::string("\x00\x03", 2) + "abc",
      std::string("\x3f", 1) + std::string(20, 'a'),
      std::string("\x80x", 2) + a_head,
      std::string(400, '\xc0'),
      std::string(400, '\0'),
      std::string("\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x02\xc0\x0c", 14),
  };
  int number = 0;
  for (const std::string& bytes : cases) {
    CAPTURE(number);
    const std::string name = "odd." + std::to_string(number++) + ".test";
    f.server.names[name] = {};
    f.server.raw[name] = bytes;
    Answer answer;
    const auto query = f.resolver->resolve(name, net::DnsFamily::v4_only, answer);
    CHECK(f.run_until([&] { return answer.done(); }));
    CHECK(answer.addresses.empty());
  }
  Answer good;
  const auto query = f.resolver->resolve("a.test", net::DnsFamily::v4_only, good);
  CHECK(f.run_until([&] { return good.done(); }));
  CHECK(good.addresses.size() == 2);
}
