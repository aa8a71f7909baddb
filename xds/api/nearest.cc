#include "xds/api/nearest.h"

#include <algorithm>
#include <string>
#include <vector>

namespace pillion::xds {

namespace {

constexpr size_t kMaxNameBytes = 100;  // Longer ones are not worth the quadratic comparison.

std::string folded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c != '_') out += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  }
  return out;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

std::optional<std::string_view> nearest(std::string_view name, std::span<const std::string_view> candidates) {
  if (name.size() > kMaxNameBytes) return std::nullopt;
  const std::string wanted = folded(name);
  size_t best = std::max<size_t>(2, wanted.size() / 3) + 1;
  std::optional<std::string_view> found;
  for (const std::string_view candidate : candidates) {
    const size_t distance = edit_distance(wanted, folded(candidate));
    if (distance >= best || distance >= wanted.size()) continue;
    best = distance;
    found = candidate;
  }
  return found;
}

}  // namespace pillion::xds
