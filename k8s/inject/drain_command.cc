#include "k8s/inject/drain_command.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <expected>
#include <optional>
#include <string_view>

#include "proxy/base/address.h"

namespace pillion::k8s {
namespace {

constexpr int kTimeoutSeconds = 5;             // For each step; a hook that hangs would use up the grace period.
constexpr size_t kMaxAnswerBytes = 64 * 1024;  // The status line is all that matters.

// skip_exit: the listeners stay open after the drain time, since SIGTERM is what ends a sidecar.
constexpr std::string_view kPath = "/drain_listeners?inboundonly&graceful&skip_exit";

class Socket {
 public:
  explicit Socket(int family) : fd_(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

std::string system_error() {
  return errno == EAGAIN ? "no answer in time" : std::strerror(errno);
}

// A request small enough for one blocking exchange: the program does nothing else.
std::expected<std::string, std::string> ask(const Address& to, const std::string& request) {
  const Socket socket(to.family());
  if (socket.fd() < 0) return std::unexpected(system_error());
  const timeval timeout{.tv_sec = kTimeoutSeconds, .tv_usec = 0};
  setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  setsockopt(socket.fd(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  sockaddr_storage address{};
  const socklen_t length = to.to_sockaddr(address);
  if (connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    return std::unexpected(system_error());
  }
  for (size_t sent = 0; sent < request.size();) {
    const ssize_t n = send(socket.fd(), request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return std::unexpected(system_error());
    sent += static_cast<size_t>(n);
  }
  std::string answer;
  char buffer[4096];
  while (answer.size() < kMaxAnswerBytes) {
    const ssize_t n = recv(socket.fd(), buffer, sizeof buffer, 0);
    if (n < 0) return std::unexpected(system_error());
    if (n == 0) break;
    answer.append(buffer, static_cast<size_t>(n));
    if (answer.contains("\r\n\r\n")) break;  // A server that keeps the connection would let us wait in vain.
  }
  return answer;
}

}  // namespace

int run_drain(const DrainOptions& options, std::ostream& out, std::ostream& err) {
  const auto fail = [&](const std::string& reason) {
    err << "pillion drain: " << options.admin << ": " << reason << "\n";
    return 1;
  };
  const auto address = Address::parse(options.admin);
  if (!address) return fail("is not an address with a port, such as 127.0.0.1:15000");
  const auto answer = ask(*address, "POST " + std::string(kPath) + " HTTP/1.1\r\nhost: " + options.admin +
                                        "\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
  if (!answer) return fail(answer.error());
  const std::string_view status_line = std::string_view(*answer).substr(0, answer->find("\r\n"));
  if (!status_line.starts_with("HTTP/1.1 200")) return fail("answered: " + std::string(status_line.substr(0, 80)));
  out << "the proxy drains\n";
  return 0;
}

}  // namespace pillion::k8s
