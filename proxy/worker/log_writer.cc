#include "proxy/worker/log_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "proxy/base/log.h"

namespace pillion::worker {

LogQueue::LogQueue(LogWriter& writer) : writer_(writer) {
  const std::lock_guard lock(writer_.mutex_);
  writer_.queues_.push_back(this);
}

LogQueue::~LogQueue() {
  writer_.flush();
  const std::lock_guard lock(writer_.mutex_);
  std::erase(writer_.queues_, this);
}

bool LogQueue::push(std::string_view path, std::string_view line) {
  {
    const std::lock_guard lock(mutex_);
    if (bytes_ + line.size() > kBytesMax) return false;
    auto file = std::find_if(files_.begin(), files_.end(), [&](const File& f) { return f.path == path; });
    if (file == files_.end()) file = files_.insert(files_.end(), {std::string(path), {}});
    file->bytes += line;
    bytes_ += line.size();
  }
  if (!writer_.has_work_.exchange(true, std::memory_order_acq_rel)) writer_.wake();
  return true;
}

LogWriter::LogWriter() : thread_(event::Thread::start<&LogWriter::run>("log", this)) {}

LogWriter::~LogWriter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_->join();
  close_files();
}

void LogWriter::wake() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void LogWriter::reopen() {
  reopen_asked_.store(true);
  has_work_.store(true);
  wake();
}

void LogWriter::flush() {
  std::unique_lock lock(mutex_);
  const uint64_t round = ++rounds_asked_;
  changed_.notify_all();
  changed_.wait(lock, [&] { return rounds_done_ >= round || stopping_; });
}

void LogWriter::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stopping_ || has_work_.load() || rounds_asked_ > rounds_done_; });
    // Somebody who waits for a flush or for the end is not kept waiting; lines are collected for a moment.
    changed_.wait_for(lock, kBatch, [&] { return stopping_ || rounds_asked_ > rounds_done_; });
    const uint64_t round = rounds_asked_;
    const bool last = stopping_;
    has_work_.store(false);
    std::vector<LogQueue::File> lines = take_all();
    lock.unlock();  // a slow disk must not keep a worker waiting
    if (reopen_asked_.exchange(false)) close_files();
    for (const LogQueue::File& file : lines) write(file.path, file.bytes);
    lock.lock();
    rounds_done_ = round;
    changed_.notify_all();
    if (last) return;
  }
}

// With mutex_ held, so that no queue goes away.
std::vector<LogQueue::File> LogWriter::take_all() {
  std::vector<LogQueue::File> all;
  for (LogQueue* queue : queues_) {
    const std::lock_guard lock(queue->mutex_);
    std::move(queue->files_.begin(), queue->files_.end(), std::back_inserter(all));
    queue->files_.clear();
    queue->bytes_ = 0;
  }
  return all;
}

void LogWriter::write(const std::string& path, std::string_view bytes) {
  const auto found = files_.find(path);
  int fd = found == files_.end() ? -1 : found->second;
  if (found == files_.end()) {
    // What is a terminal, a pipe or a socket cannot always be opened by its name again.
    if (path == "/dev/stdout" || path == "/dev/stderr") {
      fd = fcntl(path == "/dev/stdout" ? STDOUT_FILENO : STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    } else {
      fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    }
    if (fd < 0) PILLION_LOG(error, "access log {}: {}", path, strerrorname_np(errno));
    files_.emplace(path, fd);
  }
  while (fd >= 0 && !bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      PILLION_LOG_LIMITED(error, monotonic_now(), "access log {}: {} bytes lost: {}", path, bytes.size(),
                          strerrorname_np(errno));
      return;
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void LogWriter::close_files() {
  for (const auto& [path, fd] : files_) {
    if (fd >= 0) ::close(fd);
  }
  files_.clear();
}

}  // namespace pillion::worker
