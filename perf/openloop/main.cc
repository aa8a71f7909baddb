// The load that no ready tool makes as it is needed here. It prints one line of JSON.
//
//   perf_load open ADDRESS PORT       requests at a rate that does not depend on the answers; latency in microseconds
//   perf_load connect ADDRESS PORT    connect, handshake, one request, close
//   perf_load idle ADDRESS PORT       connections of one request each, kept until standard input ends
//   perf_load websocket ADDRESS PORT  frames to and fro through an upgraded connection
//   perf_load echo ADDRESS PORT       the server of these
//
// An error, an answer other than 200 or a missing one ends it with 1. `open` ends with 3 and without figures when it
// took requests later from its own schedule than --late-us for 1 in 100, because then it measured itself.
#include <arpa/inet.h>
#include <getopt.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "perf/openloop/drivers.h"

namespace openloop {

namespace {

struct Options {
  std::string mode, ca, crt, key;
  int connections = 64;
  bool http2 = false, resume = false;
  double late_us = 200;
  size_t frame_bytes = 97;
  OpenLoop::Options open;
  Target target;
};

SSL_CTX* make_context(const Options& options) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  if (SSL_CTX_load_verify_locations(context, options.ca.c_str(), nullptr) != 1 ||
      SSL_CTX_use_certificate_chain_file(context, options.crt.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, options.key.c_str(), SSL_FILETYPE_PEM) != 1)
    spoil("the certificates cannot be read");
  const unsigned char* alpn = reinterpret_cast<const unsigned char*>(options.http2 ? "\x02h2" : "\x08http/1.1");
  SSL_CTX_set_alpn_protos(context, alpn, options.http2 ? 3 : 9);
  if (options.resume) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, ConnectLoop::keep_session);
  }
  return context;
}

Options parse(int argc, char** argv) {
  static const option kLong[] = {
      {"rate", 1, nullptr, 'r'},        {"seconds", 1, nullptr, 's'}, {"warm", 1, nullptr, 'w'},
      {"spin-us", 1, nullptr, 'p'},     {"late-us", 1, nullptr, 'l'}, {"http2", 0, nullptr, '2'},
      {"connections", 1, nullptr, 'c'}, {"streams", 1, nullptr, 'm'}, {"header", 1, nullptr, 'H'},
      {"path", 1, nullptr, 'P'},        {"ca", 1, nullptr, 'a'},      {"cert", 1, nullptr, 'e'},
      {"key", 1, nullptr, 'k'},         {"resume", 0, nullptr, 'R'},  {"bytes", 1, nullptr, 'b'},
      {nullptr, 0, nullptr, 0}};
  Options options;
  for (int c; (c = getopt_long(argc, argv, "", kLong, nullptr)) != -1;) {
    switch (c) {
      case 'r': options.open.rate = atof(optarg); break;
      case 's': options.open.seconds = atof(optarg); break;
      case 'w': options.open.warm_seconds = atof(optarg); break;
      case 'p': options.open.spin_ns = static_cast<uint64_t>(atof(optarg) * 1e3); break;
      case 'l': options.late_us = atof(optarg); break;
      case '2': options.http2 = true; break;
      case 'c': options.connections = atoi(optarg); break;
      case 'm': options.target.streams = atoi(optarg); break;
      case 'H': options.target.headers.push_back(optarg); break;
      case 'P': options.target.path = optarg; break;
      case 'a': options.ca = optarg; break;
      case 'e': options.crt = optarg; break;
      case 'k': options.key = optarg; break;
      case 'R': options.resume = true; break;
      case 'b': options.frame_bytes = static_cast<size_t>(atoi(optarg)); break;
      default: spoil("an unknown option");
    }
  }
  if (argc - optind != 3) spoil("usage: perf_load MODE [options] ADDRESS PORT");
  options.mode = argv[optind];
  sockaddr_in& address = options.target.address;
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(atoi(argv[optind + 2])));
  if (inet_pton(AF_INET, argv[optind + 1], &address.sin_addr) != 1) spoil("not an IPv4 address");
  options.target.authority = std::string(argv[optind + 1]) + ":" + argv[optind + 2];
  options.target.close_after_answer = options.mode == "connect";
  if (!options.crt.empty()) options.target.context = make_context(options);
  return options;
}

std::vector<std::unique_ptr<Client>> make_clients(const Options& options, Poller& poller, Driver& driver) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < options.connections; i++)
    clients.push_back(make_client(options.http2, poller, options.target, driver));
  return clients;
}

// Before whatever shares its core: what it measures must not be its own waiting. Without the right to it, lateness
// tells.
void take_precedence() {
  prctl(PR_SET_TIMERSLACK, 1);
  sched_param param = {.sched_priority = 1};
  sched_setscheduler(0, SCHED_FIFO, &param);
}

void print_quantiles(const char* name, const Histogram& all) {
  auto us = [&](double q) { return static_cast<double>(all.at(q)) / 1e3; };
  printf("\"%s\": {\"p50\": %.2f, \"p90\": %.2f, \"p99\": %.2f, \"p99.9\": %.2f, \"max\": %.2f}", name, us(0.5),
         us(0.9), us(0.99), us(0.999), us(1));
}

int run_open(const Options& options, Poller& poller) {
  take_precedence();
  OpenLoop loop(poller, options.open);
  auto clients = make_clients(options, poller, loop);
  loop.run(clients);
  double late = static_cast<double>(loop.lateness().at(0.99)) / 1e3;
  if (late > options.late_us) {
    fprintf(stderr, "perf_load: 1 in 100 requests was taken %.0f us late from the schedule: nothing was measured\n",
            late);
    return 3;
  }
  if (loop.unanswered() > 0) spoil(std::to_string(loop.unanswered()) + " requests were not answered");
  printf("{\"requests\": %lu, \"rate\": %.0f, ", loop.latency().count(), options.open.rate);
  print_quantiles("latency_us", loop.latency());
  printf(", ");
  print_quantiles("late_us", loop.lateness());
  printf("}\n");
  return 0;
}

int run(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  Options options = parse(argc, argv);
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(options.target.context, SSL_CTX_free);
  Poller poller;
  if (options.mode == "open") return run_open(options, poller);
  if (options.mode == "echo") websocket_echo(options.target.address);
  if (options.mode == "connect") {
    ConnectLoop loop(poller, options.resume);
    auto clients = make_clients(options, poller, loop);
    printf("{\"requests\": %lu}\n", loop.run(clients, options.open.seconds));
    return 0;
  }
  if (options.mode == "websocket") {
    uint64_t frames =
        websocket_loop(poller, options.target, options.connections, options.frame_bytes, options.open.seconds);
    printf("{\"requests\": %lu}\n", frames);
    return 0;
  }
  if (options.mode != "idle") spoil("an unknown mode: " + options.mode);
  IdleLoop loop(poller);
  auto clients = make_clients(options, poller, loop);
  loop.run(clients);
  printf("{\"requests\": %zu}\n", clients.size());
  fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}

}  // namespace

}  // namespace openloop

int main(int argc, char** argv) {
  return openloop::run(argc, argv);
}
