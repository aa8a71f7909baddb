// Runs another program and waits for it. No shell: the arguments reach the program as they are.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace pillion::k8s {

// The programs that we run print some kilobytes; one that prints without end is stopped.
constexpr size_t kMaxProcessOutputBytes = 16 * 1024 * 1024;
// A program that is silent for so long is taken to hang and is killed.
constexpr int kProcessSilenceMs = 30'000;

struct ProcessResult {
  int exit_status = 0;  // 128 + the signal's number when a signal ended it.
  std::string output;
  std::string errors;
};

// `argv[0]` is a path or is looked up in PATH. The error says why it could not be run at all, or why it was stopped.
std::expected<ProcessResult, std::string> run_process(const std::vector<std::string>& argv, std::string_view input);

// The first of the names that is a program in PATH or, since PATH may lack them, in /usr/sbin or /sbin; else empty.
std::string find_program(const std::vector<std::string>& names);

}  // namespace pillion::k8s
