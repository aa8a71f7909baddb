// Runs a fuzz target over files, in builds without libFuzzer: `h1_request [--mutants N] tests/corpus/h1_request`. A
// folder stands for the files in it. With --mutants each file is also run N times with a few octets changed, always the
// same ones. What runs is printed first, so that a crash names its input.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/random.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

std::vector<std::filesystem::path> files_of(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return {path};
  std::vector<std::filesystem::path> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

void run(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

// One to four changes: an octet replaced, put in or taken out, or a piece of the input said twice.
std::string mutant_of(std::string bytes, pillion::Random& random) {
  for (uint64_t changes = 1 + random.below(4); changes > 0; --changes) {
    const size_t at = random.below(bytes.size() + 1);
    const char octet = static_cast<char>(random.next());
    switch (random.below(5)) {
      case 0: bytes.insert(at, 1, octet); break;
      case 1: bytes.erase(at, 1 + random.below(3)); break;
      case 2: bytes.insert(at, bytes.substr(random.below(bytes.size() + 1), random.below(64))); break;
      case 3:
        if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
        break;
      default:
        if (at < bytes.size()) bytes[at] = "\r\n :;,0\t"[random.below(8)];
        break;
    }
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  size_t runs = 0;
  unsigned long mutants = 0;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--mutants" && i + 1 < argc) {
      mutants = std::strtoul(argv[++i], nullptr, 10);
      continue;
    }
    for (const std::filesystem::path& file : files_of(argv[i])) {
      std::printf("%s\n", file.c_str());
      std::fflush(stdout);
      std::ifstream in(file, std::ios::binary);
      if (!in) {
        std::fprintf(stderr, "%s: cannot be read\n", file.c_str());
        return 1;
      }
      const std::string bytes(std::istreambuf_iterator<char>(in), {});
      run(bytes);
      ++runs;
      for (unsigned long m = 1; m <= mutants; ++m, ++runs) {
        std::printf("%s mutant %lu\r", file.c_str(), m);
        std::fflush(stdout);
        pillion::Random random(m);
        run(mutant_of(bytes, random));
      }
    }
  }
  std::printf("\n%zu inputs\n", runs);
  return runs > 0 ? 0 : 1;  // an empty corpus is a mistake, not a success
}
