// The parts that a request passes, each as a ratio to a reference loop on the same machine at the same moment.
//
//   perf_micro [PART]    prints {"PART": {"ratio": …, "ns": …, "spread": …}, …}
//
// A repetition runs the reference, the part and the reference again, some milliseconds each, on the thread's CPU clock,
// so that who else runs matters little; the ratio of a part is the median of its repetitions. The reference walks,
// hashes and copies a few KiB, as the parts do: a machine that does that at half the speed does the parts at half the
// speed.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <vector>

#include "perf/micro/part.h"

namespace pillion::micro {
namespace {

constexpr int kRepetitions = 61;
constexpr double kSliceNs = 2e6;

double cpu_ns() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

double timed(Part& part, size_t times) {
  const double start = cpu_ns();
  part.run(times);
  return (cpu_ns() - start) / static_cast<double>(times);
}

size_t calibrate(Part& part) {
  size_t times = 1;
  while (timed(part, times) * static_cast<double>(times) < kSliceNs) times *= 2;
  return times;
}

std::unique_ptr<Part> reference() {
  return make_part("reference", [](size_t times) {
    static std::vector<uint32_t> next(1024);
    static char from[2048], to[2048];
    for (size_t i = 0; i < next.size(); ++i) next[i] = static_cast<uint32_t>((i * 389 + 17) % next.size());
    for (size_t n = 0; n < times; ++n) {
      uint64_t hash = 14695981039346656037u + n;
      for (uint32_t i = 0, at = 0; i < 256; ++i, at = next[at]) hash = (hash ^ at) * 1099511628211u;
      std::memcpy(to, from, sizeof to);
      for (const char c : to) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
      from[hash % sizeof from] = static_cast<char>(hash);
      keep(hash);
    }
  });
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void measure(Part& part, Part& floor, size_t floor_times, bool is_first) {
  const size_t times = calibrate(part);
  std::vector<double> ratios, costs;
  for (int i = 0; i < kRepetitions; ++i) {
    const double before = timed(floor, floor_times);
    const double cost = timed(part, times);
    const double after = timed(floor, floor_times);
    ratios.push_back(2 * cost / (before + after));
    costs.push_back(cost);
  }
  std::vector<double> sorted = ratios;
  std::ranges::sort(sorted);
  const double spread = (sorted[sorted.size() * 3 / 4] - sorted[sorted.size() / 4]) / median(ratios);
  std::printf("%s\n \"%s\": {\"ratio\": %.5f, \"ns\": %.1f, \"spread\": %.3f}", is_first ? "{" : ",", part.name.c_str(),
              median(ratios), median(costs), spread);
  std::fflush(stdout);
}

int run(const char* only) {
  Parts parts;
  add_header_map(parts);
  add_codecs(parts);
  add_router(parts);
  add_balancers(parts);
  add_timer_queue(parts);
  add_tls_records(parts);
  const std::unique_ptr<Part> floor = reference();
  const size_t floor_times = calibrate(*floor);
  bool is_first = true;
  for (const auto& part : parts) {
    if (only != nullptr && part->name != only) continue;
    measure(*part, *floor, floor_times, is_first);
    is_first = false;
  }
  std::printf("%s\n}\n", is_first ? "{" : "");
  return is_first ? 2 : 0;
}

}  // namespace
}  // namespace pillion::micro

int main(int argc, char** argv) {
  return pillion::micro::run(argc > 1 ? argv[1] : nullptr);
}
