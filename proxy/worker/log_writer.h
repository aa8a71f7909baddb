// One thread that writes the access logs of all workers. A worker's lines go into its own queue, bounded in bytes; what
// does not fit is dropped and counted. Files are opened on first use, appended to, and opened anew on request (log
// rotation).
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/time.h"
#include "proxy/event/thread.h"

namespace pillion::worker {

class LogWriter;

// One worker's lines on their way to the writer.
class LogQueue {
 public:
  static constexpr size_t kBytesMax = 4 * 1024 * 1024;

  explicit LogQueue(LogWriter& writer);
  ~LogQueue();
  LogQueue(const LogQueue&) = delete;
  LogQueue& operator=(const LogQueue&) = delete;

  // False: dropped, the queue is full.
  bool push(std::string_view path, std::string_view line);

 private:
  friend class LogWriter;
  struct File {
    std::string path;
    std::string bytes;
  };
  LogWriter& writer_;
  std::mutex mutex_;
  std::vector<File> files_;  // a handful; the path is found by looking
  size_t bytes_ = 0;
};

class LogWriter {
 public:
  static constexpr Duration kBatch{10'000};  // lines of that time are written together

  LogWriter();
  ~LogWriter();  // writes what there is

  void reopen();  // from any thread
  void flush();   // returns when all lines pushed before it were written; for tests and the end

 private:
  friend class LogQueue;
  void wake();
  void run();
  std::vector<LogQueue::File> take_all();
  void write(const std::string& path, std::string_view bytes);
  void close_files();

  std::mutex mutex_;  // guards the next four
  std::condition_variable changed_;
  std::vector<LogQueue*> queues_;
  uint64_t rounds_asked_ = 0;
  uint64_t rounds_done_ = 0;
  bool stopping_ = false;
  std::atomic<bool> has_work_{false};
  std::atomic<bool> reopen_asked_{false};
  std::map<std::string, int> files_;  // the writer's own; -1: could not be opened, was reported
  std::unique_ptr<event::Thread> thread_;
};

}  // namespace pillion::worker
