#include "xds/api/field_path.h"

#include <charconv>

namespace pillion::xds {

std::string FieldPath::to_string() const {
  std::string out = root_;
  for (const PathStep& step : steps_) {
    switch (step.kind) {
      case PathStep::Kind::field:
        if (!out.empty()) out += '.';
        out += step.name;
        break;
      case PathStep::Kind::index: out += '[' + std::to_string(step.index) + ']'; break;
      case PathStep::Kind::key: out.append("[\"").append(step.name).append("\"]"); break;
    }
  }
  return out;
}

std::optional<PathStep> next_step(std::string_view& rest) {
  if (rest.starts_with('.')) rest.remove_prefix(1);
  if (rest.empty()) return std::nullopt;
  if (rest.starts_with("[\"")) {
    // A key may hold quotes and brackets: it ends at the first `"]` that a step or nothing follows.
    size_t end = rest.find("\"]", 2);
    while (end != std::string_view::npos && end + 2 < rest.size() && rest[end + 2] != '.' && rest[end + 2] != '[') {
      end = rest.find("\"]", end + 1);
    }
    if (end == std::string_view::npos) return std::nullopt;
    const PathStep step{PathStep::Kind::key, rest.substr(2, end - 2), 0};
    rest.remove_prefix(end + 2);
    return step;
  }
  if (rest.starts_with('[')) {
    PathStep step{PathStep::Kind::index, {}, 0};
    const auto [stop, error] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), step.index);
    const size_t end = static_cast<size_t>(stop - rest.data());
    if (error != std::errc() || end >= rest.size() || rest[end] != ']') return std::nullopt;
    rest.remove_prefix(end + 1);
    return step;
  }
  const size_t end = std::min(rest.find_first_of(".["), rest.size());
  if (end == 0) return std::nullopt;
  const PathStep step{PathStep::Kind::field, rest.substr(0, end), 0};
  rest.remove_prefix(end);
  return step;
}

}  // namespace pillion::xds
