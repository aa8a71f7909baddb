#include "xds/control/http_get.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace pillion::xds::control {

namespace {

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

std::unexpected<std::string> system_error() {
  return std::unexpected<std::string>(errno == EAGAIN ? "no answer in time" : std::strerror(errno));
}

std::expected<std::string, std::string> ask(const Address& to, const std::string& request) {
  const Socket socket(to.family());
  if (socket.fd() < 0) return system_error();
  const timeval timeout{.tv_sec = kHttpGetTimeoutSeconds, .tv_usec = 0};
  setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  setsockopt(socket.fd(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  sockaddr_storage address{};
  const socklen_t length = to.to_sockaddr(address);
  if (connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), length) != 0) return system_error();
  for (size_t sent = 0; sent < request.size();) {
    const ssize_t n = send(socket.fd(), request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return system_error();
    sent += static_cast<size_t>(n);
  }
  std::string answer;
  char buffer[16384];
  for (;;) {
    const ssize_t n = recv(socket.fd(), buffer, sizeof buffer, 0);
    if (n < 0) return system_error();
    if (n == 0) return answer;
    answer.append(buffer, static_cast<size_t>(n));
    if (answer.size() > kHttpGetBytesMax) return std::unexpected("the answer is too large");
  }
}

}  // namespace

// HTTP/1.0, so that the answer ends with the connection and is never chunked.
std::expected<std::string, std::string> http_get(const Address& to, std::string_view path) {
  auto answer = ask(to, "GET " + std::string(path) + " HTTP/1.0\r\nhost: " + to.to_string() + "\r\n\r\n");
  if (!answer) return answer;
  const std::string status = answer->substr(0, answer->find("\r\n"));
  const size_t end = answer->find("\r\n\r\n");
  if (!status.starts_with("HTTP/1.") || end == std::string::npos) return std::unexpected("the answer is not HTTP");
  if (status.size() < 12 || status.substr(9, 3) != "200") return std::unexpected("answered: " + status.substr(0, 80));
  return answer->substr(end + 4);
}

}  // namespace pillion::xds::control
