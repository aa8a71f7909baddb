#include "proxy/base/log.h"

#include <unistd.h>

#include <cstring>

namespace pillion {
namespace {

constexpr std::string_view kNames[] = {"trace", "debug", "info", "warning", "error", "critical", "off"};
constexpr size_t kLineBytesMax = 8192;  // longer lines are cut, so that a peer's bytes cannot flood a terminal

thread_local char thread_name[16] = "main";

}  // namespace

namespace log_internal {

std::atomic<LogLevel> level{LogLevel::info};

void write(LogLevel lvl, std::string_view text) {
  std::string line = fmt::format("{} {:<7} [{}] ", format_rfc3339_ms(wall_now_us()), name_of(lvl), thread_name);
  const size_t room = kLineBytesMax - line.size();
  for (const char c : text.substr(0, room)) {
    // A line stays one line and carries no terminal sequences, whatever a peer sent.
    line += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  line += '\n';
  // One write keeps lines whole. A standard error that is closed or full has nobody left to tell.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace log_internal

std::optional<LogLevel> parse_log_level(std::string_view name) {
  if (name == "warn") return LogLevel::warning;
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i] == name) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

std::string_view name_of(LogLevel level) {
  return kNames[static_cast<size_t>(level)];
}

void set_log_thread_name(std::string_view name) {
  const size_t n = std::min(name.size(), sizeof(thread_name) - 1);
  std::memcpy(thread_name, name.data(), n);
  thread_name[n] = '\0';
}

}  // namespace pillion
