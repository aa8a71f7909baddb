// TLS over real sockets: through the dialer and the listener, and against the openssl program from the outside.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "proxy/net/listener.h"
#include "proxy/net/tcp.h"
#include "proxy/net/tcp_dialer.h"
#include "tests/unit/net/tls_world.h"

extern char** environ;

using namespace pillion;
using namespace pillion::net::test;

namespace {

struct Dialed final : net::DialEvents {
  void on_dialed(net::TransportPtr t) override {
    end.transport = std::move(t);
    end.transport->set_events(&end);
  }
  void on_dial_failed(const Error& why) override { on_dial_failed(why, ""); }
  void on_dial_failed(const Error& why, std::string_view text) override { end.on_handshake_failed(why, text); }
  End end;
};

// A listener whose connections do a handshake, if there is a context.
struct Accepting final : net::AcceptEvents {
  Accepting(event::Loop& loop, std::shared_ptr<const net::ServerTlsContext> context)
      : loop(loop), context(std::move(context)) {
    auto opened = net::Listener::open(loop, {.address = *Address::parse_ip("127.0.0.1", 0)}, *this);
    REQUIRE(opened.has_value());
    listener = std::move(*opened);
  }
  void on_accept(int fd) override {
    auto transport = net::adopt_socket(loop, fd);
    REQUIRE(transport.has_value());
    if (context == nullptr) {
      silent = std::move(*transport);
      return;
    }
    handshake = net::start_server_handshake(loop.executor(), std::move(*transport), context, 5s, end);
  }
  event::Loop& loop;
  std::shared_ptr<const net::ServerTlsContext> context;
  std::unique_ptr<net::Listener> listener;
  std::unique_ptr<net::Handshake> handshake;
  net::TransportPtr silent;
  End end;
};

struct Fixture {
  Fixture() : loop(7, stats), dialer(loop) {}
  template <class Done>
  bool run_until(Done done) {
    const Instant end = monotonic_now() + 20s;
    while (!done() && monotonic_now() < end) loop.run_once(false);
    return done();
  }
  void send(End& from, std::string_view text) {
    Chain out;
    out.append(loop.executor().chunks, text);
    from.transport->write(std::move(out));
  }
  StatSlab stats;
  event::Loop loop;
  net::TcpDialer dialer;
};

std::shared_ptr<const net::ServerTlsContext> server_context(const Plan& plan) {
  auto made = net::make_server_context(plan.config, plan.secrets);
  REQUIRE(made.has_value());
  return *made;
}

std::shared_ptr<const net::ClientTlsContext> client_context(const Plan& plan) {
  auto made = net::make_client_context(plan.config, plan.secrets);
  REQUIRE(made.has_value());
  return *made;
}

class TempDir {
 public:
  TempDir() {
    std::string name = std::filesystem::temp_directory_path() / "pillion-tls-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  std::string write(const char* name, const std::string& text) const {
    const std::string path = path_ + "/" + name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

 private:
  std::string path_;
};

// The openssl program with pipes to it; ended by the destructor.
class Program {
 public:
  explicit Program(std::vector<std::string> arguments) {
    int in[2], out[2];
    REQUIRE(pipe2(in, O_CLOEXEC) == 0);
    REQUIRE(pipe2(out, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, out[1], 2);
    std::vector<char*> argv;
    arguments.insert(arguments.begin(), "openssl");
    for (std::string& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    REQUIRE(posix_spawnp(&pid_, "openssl", &actions, nullptr, argv.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(in[0]);
    ::close(out[1]);
    in_ = in[1];
    out_ = out[0];
    fcntl(out_, F_SETFL, O_NONBLOCK);
  }
  ~Program() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(out_);
    if (in_ >= 0) ::close(in_);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void say(std::string_view text) {
    REQUIRE(::write(in_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  // Everything that it has printed up to now.
  const std::string& printed() {
    std::array<char, 4096> buffer;
    for (ssize_t n; (n = ::read(out_, buffer.data(), buffer.size())) > 0;) {
      printed_.append(buffer.data(), static_cast<size_t>(n));
    }
    return printed_;
  }
  bool has_printed(std::string_view text) { return printed().find(text) != std::string::npos; }

 private:
  pid_t pid_ = -1;
  int in_ = -1, out_ = -1;
  std::string printed_;
};

}  // namespace

TEST_CASE("tls dial: TCP and TLS in one, and bytes both ways in bulk") {
  Fixture f;
  Accepting accepting(f.loop, server_context(mutual(web())));
  Dialed dialed;
  auto dial = f.dialer.dial({.remote = accepting.listener->local_address(),
                             .tls = client_context(mutual(cart())),
                             .sni = "web",
                             .verify_host = "web.shop"},
                            dialed);
  REQUIRE(f.run_until([&] { return dialed.end.transport != nullptr && accepting.end.transport != nullptr; }));
  CHECK(dialed.end.transport->tls()->peer_uri_san == kWeb);
  CHECK(accepting.end.transport->tls()->sni == "web");
  CHECK(accepting.end.transport->tls()->peer_uri_san == kCart);
  CHECK(dialed.end.transport->peer_address() == accepting.listener->local_address());
  const std::string block(10 << 20, 'z');
  accepting.end.transport->pause_reading();
  f.send(dialed.end, block);
  f.send(accepting.end, block);
  CHECK(f.run_until([&] { return dialed.end.received == block; }));
  CHECK(dialed.end.transport->is_congested());
  accepting.end.transport->resume_reading();
  CHECK(f.run_until([&] { return accepting.end.received == block && dialed.end.writables == 1; }));
  dialed.end.transport->close();
  CHECK(f.run_until([&] { return accepting.end.eofs == 1; }));
  CHECK(accepting.end.closes == 0);
}

TEST_CASE("tls dial: a failed handshake is told once, with the sentence, as safe to try elsewhere") {
  Fixture f;
  Accepting accepting(f.loop, server_context(mutual(web())));
  Dialed dialed;
  auto dial = f.dialer.dial(
      {.remote = accepting.listener->local_address(), .tls = client_context(mutual(cart())), .verify_host = "api.shop"},
      dialed);
  REQUIRE(f.run_until([&] { return dialed.end.failures == 1 && accepting.end.failures == 1; }));
  CHECK(dialed.end.error.code == Code::tls_failed);
  CHECK(dialed.end.error.side == Side::upstream);
  CHECK(dialed.end.error.retry == Retry::safe);
  CHECK(dialed.end.detail == "no SAN of the peer is api.shop; it has URI:spiffe://mesh/ns/shop/sa/web, DNS:web.shop");
  CHECK(accepting.end.error.side == Side::downstream);
}

TEST_CASE("tls dial: the connect timeout covers the handshake, and a dropped dial is silent") {
  Fixture f;
  Accepting silent(f.loop, nullptr);
  Dialed dialed;
  const net::DialOptions options{
      .remote = silent.listener->local_address(), .connect_timeout = 50ms, .tls = client_context(mutual(cart()))};
  auto dial = f.dialer.dial(options, dialed);
  REQUIRE(f.run_until([&] { return dialed.end.failures == 1; }));
  CHECK(dialed.end.error.code == Code::connect_timeout);
  Dialed dropped;
  silent.silent.reset();
  dial = f.dialer.dial(options, dropped);
  REQUIRE(f.run_until([&] { return silent.silent != nullptr; }));
  dial.reset();
  const Instant later = monotonic_now() + 100ms;
  f.run_until([&] { return monotonic_now() > later; });
  CHECK(dropped.end.failures == 0);
}

TEST_CASE("tls dial: openssl s_server is served as by any client") {
  const TempDir dir;
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    CAPTURE(version);
    Fixture f;
    Program server({"s_server", "-accept", "127.0.0.1:0", "-cert", dir.write("cert", web()->cert_chain), "-key",
                    dir.write("key", web()->private_key), "-CAfile", dir.write("ca", mesh().pem()), "-Verify", "2",
                    "-verify_return_error", "-alpn", "h2", "-naccept", "2", "-rev", version});
    REQUIRE(f.run_until([&] { return server.has_printed("ACCEPT 127.0.0.1:") && server.printed().ends_with("\n"); }));
    const std::string& text = server.printed();
    const size_t at = text.find("ACCEPT ") + 7;
    const auto address = Address::parse(std::string_view(text).substr(at, text.find('\n', at) - at));
    REQUIRE(address.has_value());
    Plan plan = mutual(cart());
    plan.config.alpn = {"h2"};
    const auto context = client_context(plan);
    for (int round = 0; round < 2; ++round) {  // the second resumes, if the program wants to
      Dialed dialed;
      auto dial = f.dialer.dial({.remote = *address, .tls = context, .sni = "web.shop"}, dialed);
      REQUIRE(f.run_until([&] { return dialed.end.transport != nullptr; }));
      CHECK(dialed.end.transport->tls()->alpn == "h2");
      CHECK(dialed.end.transport->tls()->peer_uri_san == kWeb);
      f.send(dialed.end, "pillion\n");
      CHECK(f.run_until([&] { return dialed.end.received == "noillip\n"; }));
      dialed.end.transport->shutdown_write();
      CHECK(f.run_until([&] { return dialed.end.eofs + dialed.end.closes > 0; }));
    }
  }
}

TEST_CASE("tls dial: openssl s_client is answered, and refused without a certificate") {
  const TempDir dir;
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    for (const bool has_certificate : {true, false}) {
      CAPTURE(version);
      CAPTURE(has_certificate);
      Fixture f;
      Plan plan = mutual(web());
      plan.config.alpn = {"h2", "http/1.1"};
      Accepting accepting(f.loop, server_context(plan));
      std::vector<std::string> arguments = {"s_client",
                                            "-connect",
                                            accepting.listener->local_address().to_string(),
                                            "-CAfile",
                                            dir.write("ca", mesh().pem()),
                                            "-verify_return_error",
                                            "-verify_hostname",
                                            "web.shop",
                                            "-servername",
                                            "web.shop",
                                            "-alpn",
                                            "http/1.1,h2",
                                            "-quiet",
                                            version};
      if (has_certificate) {
        arguments.insert(arguments.end(), {"-cert", dir.write("cert", cart()->cert_chain), "-key",
                                           dir.write("key", cart()->private_key)});
      }
      Program client(std::move(arguments));
      if (!has_certificate) {
        REQUIRE(f.run_until([&] { return accepting.end.failures == 1; }));
        CHECK(accepting.end.detail == "the peer sent no certificate");
        CHECK(f.run_until([&] { return client.has_printed("alert"); }));
        continue;
      }
      REQUIRE(f.run_until([&] { return accepting.end.transport != nullptr; }));
      CHECK(accepting.end.transport->tls()->sni == "web.shop");
      CHECK(accepting.end.transport->tls()->alpn == "h2");
      CHECK(accepting.end.transport->tls()->peer_uri_san == kCart);
      client.say("hello\n");
      CHECK(f.run_until([&] { return accepting.end.received == "hello\n"; }));
      f.send(accepting.end, "answer\n");
      CHECK(f.run_until([&] { return client.has_printed("answer\n"); }));
      accepting.end.transport->shutdown_write();
      CHECK(f.run_until([&] { return accepting.end.eofs + accepting.end.closes > 0; }));
    }
  }
}
