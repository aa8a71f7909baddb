#include "k8s/inject/drain_command.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>

namespace pillion::k8s {
namespace {

// A server in a child process: takes one connection, answers, and leaves the request in `request`.
class OneShotServer {
 public:
  explicit OneShotServer(std::string_view answer) {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(listen(listener, 1) == 0);
    REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    admin = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    child_ = fork();
    if (child_ == 0) {
      const int connection = accept(listener, nullptr, nullptr);
      char buffer[4096];
      const ssize_t n = read(connection, buffer, sizeof buffer);
      const bool told = write(ends[1], buffer, n > 0 ? static_cast<size_t>(n) : 0) >= 0;
      const bool answered = write(connection, answer.data(), answer.size()) >= 0;
      _exit(told && answered ? 0 : 1);
    }
    close(listener);
    close(ends[1]);
    request_ = ends[0];
  }
  ~OneShotServer() {
    close(request_);
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  std::string request() {
    char buffer[4096];
    const ssize_t n = read(request_, buffer, sizeof buffer);
    return std::string(buffer, n > 0 ? static_cast<size_t>(n) : 0);
  }

  std::string admin;

 private:
  pid_t child_ = -1;
  int request_ = -1;
};

struct Ran {
  int status;
  std::string out;
  std::string err;
};

Ran drain(const std::string& admin) {
  std::ostringstream out;
  std::ostringstream err;
  const int status = run_drain({.admin = admin}, out, err);
  return {status, out.str(), err.str()};
}

TEST_CASE("pillion drain: asks the admin port to drain inbound and believes only a 200") {
  OneShotServer good("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nOK\n");
  const Ran ran = drain(good.admin);
  CHECK(ran.status == 0);
  CHECK(ran.out == "the proxy drains\n");
  CHECK(good.request().starts_with(
      "POST /drain_listeners?inboundonly&graceful&skip_exit HTTP/1.1\r\nhost: " + good.admin + "\r\n"));
  OneShotServer bad("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
  CHECK(drain(bad.admin).status == 1);
  OneShotServer silent("");
  CHECK(drain(silent.admin).err == "pillion drain: " + silent.admin + ": answered: \n");
}

TEST_CASE("pillion drain: a proxy that is not there, or no address, is told") {
  CHECK(drain("127.0.0.1:1").err == "pillion drain: 127.0.0.1:1: Connection refused\n");
  CHECK(drain("nowhere").err.starts_with("pillion drain: nowhere: is not an address"));
}

}  // namespace
}  // namespace pillion::k8s
