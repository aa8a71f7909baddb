// Clients from outside: plain sockets without a proxy's help, and other programs.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "proxy/event/loop.h"
#include "proxy/event/signal.h"

namespace pillion::rpc::test {

struct World {
  World() : loop(11, stats) { event::ignore_sigpipe(); }
  // Turns with an event or a timer; the limit only ends a test that would hang.
  template <class Done>
  bool run_until(Done done) {
    for (int turn = 0; turn < 200'000; ++turn) {
      if (done()) return true;
      loop.run_once(false);
      if (turn > 100) usleep(100);
    }
    return false;
  }
  StatSlab stats;
  event::Loop loop;
};

class Socket {
 public:
  explicit Socket(const Address& to) : fd_(socket(to.family(), SOCK_STREAM, 0)) {
    sockaddr_storage storage;
    const socklen_t length = to.to_sockaddr(storage);
    REQUIRE(connect(fd_, reinterpret_cast<sockaddr*>(&storage), length) == 0);
    fcntl(fd_, F_SETFL, O_NONBLOCK);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { close(fd_); }
  void say(std::string_view text) {
    REQUIRE(write(fd_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  void shut() { shutdown(fd_, SHUT_WR); }
  // Everything so far; `ended` once the peer has closed.
  const std::string& heard() {
    char buffer[65536];
    ssize_t n;
    while ((n = read(fd_, buffer, sizeof(buffer))) > 0) text_.append(buffer, static_cast<size_t>(n));
    if (n == 0) ended_ = true;
    if (n < 0 && errno != EAGAIN) broken_ = true;
    return text_;
  }
  bool ended() {
    heard();
    return ended_ || broken_;
  }
  bool broken() const { return broken_; }

 private:
  int fd_;
  std::string text_;
  bool ended_ = false;
  bool broken_ = false;
};

// Another program, with its output (both streams) kept. Killed when dropped.
class Program {
 public:
  explicit Program(const std::vector<std::string>& arguments) {
    int out[2];
    REQUIRE(pipe2(out, O_CLOEXEC) == 0);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(out[1], 1);
      dup2(out[1], 2);
      std::vector<char*> argv;
      for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
      argv.push_back(nullptr);
      execvp(argv[0], argv.data());
      _exit(127);
    }
    close(out[1]);
    out_ = out[0];
    fcntl(out_, F_SETFL, O_NONBLOCK);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    stop();
    close(out_);
  }
  void stop() {
    if (ended_) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, &status_, 0);
    ended_ = true;
  }
  bool has_ended() {
    char buffer[65536];
    ssize_t n;
    while ((n = read(out_, buffer, sizeof(buffer))) > 0) output_.append(buffer, static_cast<size_t>(n));
    if (!ended_ && n == 0 && waitpid(pid_, &status_, 0) == pid_) ended_ = true;
    return ended_;
  }
  const std::string& output() const { return output_; }
  int code() const { return WIFEXITED(status_) ? WEXITSTATUS(status_) : -1; }

 private:
  pid_t pid_ = -1;
  int out_ = -1;
  int status_ = 0;
  bool ended_ = false;
  std::string output_;
};

}  // namespace pillion::rpc::test
