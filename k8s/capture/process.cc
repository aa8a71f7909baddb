#include "k8s/capture/process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

extern char** environ;

namespace pillion::k8s {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor() { close(); }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

std::string system_error(const char* doing) {
  return std::string(doing) + ": " + std::strerror(errno);
}

// The input lies in memory and not in a pipe, so that nobody has to feed it while the program runs.
std::expected<FileDescriptor, std::string> input_file(std::string_view input) {
  FileDescriptor file(memfd_create("input", MFD_CLOEXEC));
  if (file.get() < 0) return std::unexpected(system_error("memfd_create"));
  for (size_t done = 0; done < input.size();) {
    const ssize_t n = write(file.get(), input.data() + done, input.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return std::unexpected(system_error("write"));
    done += static_cast<size_t>(n);
  }
  if (lseek(file.get(), 0, SEEK_SET) != 0) return std::unexpected(system_error("lseek"));
  return file;
}

struct Pipe {
  FileDescriptor read_end;
  FileDescriptor write_end;
};

std::expected<Pipe, std::string> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return std::unexpected(system_error("pipe2"));
  return Pipe{FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

// Reads once; closes at the end of the stream. False: too much came.
bool read_some(FileDescriptor& from, std::string& into) {
  char buffer[16 * 1024];
  const ssize_t n = read(from.get(), buffer, sizeof buffer);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (n <= 0) {
    from.close();
    return true;
  }
  into.append(buffer, static_cast<size_t>(n));
  return into.size() <= kMaxProcessOutputBytes;
}

// Returns why the program has to be stopped, or an empty text when both streams have ended.
std::string collect(FileDescriptor& output, FileDescriptor& errors, ProcessResult& result) {
  while (output.get() >= 0 || errors.get() >= 0) {
    pollfd fds[2] = {{output.get(), POLLIN, 0}, {errors.get(), POLLIN, 0}};  // poll skips a descriptor of -1.
    const int ready = poll(fds, 2, kProcessSilenceMs);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return system_error("poll");
    if (ready == 0) return "was silent for " + std::to_string(kProcessSilenceMs / 1000) + " s and was killed";
    if (fds[0].revents != 0 && !read_some(output, result.output)) return "printed too much and was killed";
    if (fds[1].revents != 0 && !read_some(errors, result.errors)) return "printed too many errors and was killed";
  }
  return "";
}

int wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int spawn(const std::vector<std::string>& argv, int input, int output, int errors, pid_t* pid) {
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
  // Signals that the caller blocks or ignores would otherwise be blocked and ignored in the program too.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t pipe_signal;
  sigemptyset(&none);
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &pipe_signal);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const int error = posix_spawnp(pid, arguments[0], &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

}  // namespace

std::expected<ProcessResult, std::string> run_process(const std::vector<std::string>& argv, std::string_view input) {
  if (argv.empty()) return std::unexpected("there is no program to run");
  auto file = input_file(input);
  auto output = make_pipe();
  auto errors = make_pipe();
  if (!file) return std::unexpected(file.error());
  if (!output) return std::unexpected(output.error());
  if (!errors) return std::unexpected(errors.error());
  pid_t pid = -1;
  const int error = spawn(argv, file->get(), output->write_end.get(), errors->write_end.get(), &pid);
  if (error != 0) return std::unexpected(argv[0] + ": " + std::strerror(error));
  output->write_end.close();
  errors->write_end.close();
  ProcessResult result;
  const std::string stopped = collect(output->read_end, errors->read_end, result);
  if (!stopped.empty()) kill(pid, SIGKILL);
  result.exit_status = wait_for(pid);
  if (!stopped.empty()) return std::unexpected(argv[0] + ": " + stopped);
  return result;
}

std::string find_program(const std::vector<std::string>& names) {
  const char* path = std::getenv("PATH");
  const std::string directories = std::string(path == nullptr ? "/usr/bin:/bin" : path) + ":/usr/sbin:/sbin";
  for (const std::string& name : names) {
    for (size_t start = 0; start <= directories.size();) {
      const size_t end = std::min(directories.find(':', start), directories.size());
      const std::string candidate = directories.substr(start, end - start) + "/" + name;
      if (end > start && access(candidate.c_str(), X_OK) == 0) return candidate;
      start = end + 1;
    }
  }
  return "";
}

}  // namespace pillion::k8s
