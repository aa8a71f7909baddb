#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <doctest/doctest.h>

#include "proxy/worker/log_writer.h"

using namespace pillion;

namespace {

struct Folder {
  Folder() {
    char name[] = "/tmp/pillion-log-XXXXXX";
    path = mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

std::string content(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

}  // namespace

TEST_CASE("log writer: lines of several workers arrive, each worker's in order") {
  Folder folder;
  const std::string path = folder.path + "/a.log";
  worker::LogWriter writer;
  worker::LogQueue one(writer);
  worker::LogQueue two(writer);
  for (int i = 0; i < 1000; ++i) {
    CHECK(one.push(path, "1:" + std::to_string(i) + "\n"));
    CHECK(two.push(path, "2:" + std::to_string(i) + "\n"));
    CHECK(one.push(folder.path + "/b.log", "x"));
  }
  writer.flush();
  std::istringstream lines(content(path));
  int next[3] = {};
  std::string line;
  while (std::getline(lines, line)) {
    const int who = line[0] - '0';
    CHECK(line.substr(2) == std::to_string(next[who]++));
  }
  CHECK(next[1] == 1000);
  CHECK(next[2] == 1000);
  CHECK(content(folder.path + "/b.log").size() == 1000);
}

TEST_CASE("log writer: a file that was moved away is made anew after reopen(), and nothing is lost") {
  Folder folder;
  const std::string path = folder.path + "/a.log";
  worker::LogWriter writer;
  worker::LogQueue queue(writer);
  queue.push(path, "before\n");
  writer.flush();
  std::filesystem::rename(path, path + ".1");
  queue.push(path, "still the old file\n");
  writer.flush();
  writer.reopen();
  queue.push(path, "after\n");
  writer.flush();
  CHECK(content(path + ".1") == "before\nstill the old file\n");
  CHECK(content(path) == "after\n");
}

TEST_CASE("log writer: what is pushed before the end is written") {
  Folder folder;
  const std::string path = folder.path + "/a.log";
  {
    worker::LogWriter writer;
    worker::LogQueue queue(writer);
    queue.push(path, "last words\n");
  }
  CHECK(content(path) == "last words\n");
}

TEST_CASE("log writer: a line that does not fit the queue is refused, and the next one is taken after a flush") {
  Folder folder;
  worker::LogWriter writer;
  worker::LogQueue queue(writer);
  const std::string huge(worker::LogQueue::kBytesMax + 1, 'x');
  CHECK_FALSE(queue.push(folder.path + "/a.log", huge));
  CHECK(queue.push(folder.path + "/a.log", "small\n"));
  writer.flush();
  CHECK(content(folder.path + "/a.log") == "small\n");
}

TEST_CASE("log writer: a path that cannot be opened costs only its own lines") {
  Folder folder;
  worker::LogWriter writer;
  worker::LogQueue queue(writer);
  CHECK(queue.push("/nonexistent/a.log", "lost\n"));
  CHECK(queue.push(folder.path + "/a.log", "kept\n"));
  writer.flush();
  CHECK(content(folder.path + "/a.log") == "kept\n");
}
