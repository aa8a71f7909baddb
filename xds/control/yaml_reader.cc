#include "xds/control/yaml_reader.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "proxy/base/address.h"
#include "xds/api/nearest.h"

namespace pillion::xds::control {

void YamlReport::add(int line, std::string path, std::string reason) {
  add(ConfigError{file_, line, std::move(path), std::move(reason)});
}

void YamlReport::add(const ConfigError& error) {
  if (errors_.size() < kMaxYamlErrors) errors_.push_back(error);
}

bool YamlReport::count_value() {
  return ++values_ <= kMaxYamlValues;
}

// === suggestions ===

namespace {

std::string joined(const std::vector<std::string_view>& words) {
  std::string out;
  for (std::string_view word : words) out.append(out.empty() ? "" : ", ").append(word);
  return out;
}

// What is quoted back to its author stays short.
std::string quoted(std::string_view text) {
  constexpr size_t kMaxQuoted = 80;
  std::string out = "\"" + std::string(text.substr(0, kMaxQuoted));
  return out + (text.size() > kMaxQuoted ? "…\"" : "\"");
}

}  // namespace

bool YamlValue::same_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return std::tolower(x) == std::tolower(y); });
}

std::string YamlValue::unknown_text(std::string_view have, const std::vector<std::string_view>& known) {
  if (auto near = nearest(have, known)) return quoted(have) + " is not known; did you mean " + std::string(*near) + "?";
  return quoted(have) + " is not known; it can be one of " + joined(known);
}

// === scalars ===

std::string YamlValue::text() const {
  if (node_.IsScalar()) return node_.Scalar();
  fail(node_.IsMap()
           ? "is a mapping, but a text is wanted here"
           : (node_.IsSequence() ? "is a list, but a text is wanted here" : "is empty, but a text is wanted"));
  return {};
}

std::optional<uint32_t> YamlValue::number(uint32_t lowest, uint32_t highest) const {
  const std::string have = text();
  uint32_t out = 0;
  auto [end, error] = std::from_chars(have.data(), have.data() + have.size(), out);
  if (error == std::errc{} && end == have.data() + have.size() && out >= lowest && out <= highest) return out;
  if (node_.IsScalar()) {
    fail(quoted(have) + " is not a whole number from " + std::to_string(lowest) + " to " + std::to_string(highest));
  }
  return std::nullopt;
}

std::optional<double> YamlValue::decimal(double lowest, double highest) const {
  const std::string have = text();
  double out = 0;
  auto [end, error] = std::from_chars(have.data(), have.data() + have.size(), out);
  const bool whole = error == std::errc{} && end == have.data() + have.size();
  if (whole && std::isfinite(out) && out >= lowest && out <= highest) return out;
  if (node_.IsScalar()) {
    fail(quoted(have) + " is not a number from " + std::to_string(static_cast<int>(lowest)) + " to " +
         std::to_string(static_cast<int>(highest)));
  }
  return std::nullopt;
}

std::optional<bool> YamlValue::boolean() const {
  const std::string have = text();
  if (have == "true") return true;
  if (have == "false") return false;
  if (node_.IsScalar()) fail(quoted(have) + " is neither true nor false");
  return std::nullopt;
}

std::optional<Milliseconds> parse_duration(std::string_view text) {
  constexpr size_t kMaxParts = 4;
  constexpr size_t kMaxDigits = 5;
  if (text.empty()) return std::nullopt;
  Milliseconds total{0};
  for (size_t part = 0; !text.empty(); ++part) {
    const size_t digits = text.find_first_not_of("0123456789");
    if (part == kMaxParts || digits == 0 || digits == text.npos || digits > kMaxDigits) return std::nullopt;
    int64_t count = 0;
    std::from_chars(text.data(), text.data() + digits, count);
    text.remove_prefix(digits);
    const size_t letters = std::min(text.find_first_of("0123456789"), text.size());
    const std::string_view unit = text.substr(0, letters);
    if (unit == "h")
      total += std::chrono::hours(count);
    else if (unit == "m")
      total += std::chrono::minutes(count);
    else if (unit == "s")
      total += std::chrono::seconds(count);
    else if (unit == "ms")
      total += Milliseconds(count);
    else
      return std::nullopt;
    text.remove_prefix(letters);
  }
  return total;
}

std::optional<Milliseconds> YamlValue::duration() const {
  const std::string have = text();
  auto out = parse_duration(have);
  if (!out && node_.IsScalar()) fail(quoted(have) + " is not a duration; write it like 250ms, 30s or 1m30s");
  return out;
}

std::string YamlValue::dns_name() const {
  constexpr size_t kMaxDnsName = 253;
  const std::string have = text();
  auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'; };
  auto edge = [](char c) { return c == '-' || c == '.'; };
  const bool good = !have.empty() && have.size() <= kMaxDnsName && std::ranges::all_of(have, allowed) &&
                    !edge(have.front()) && !edge(have.back());
  if (good) return have;
  if (node_.IsScalar()) fail(quoted(have) + " is not a name; it may hold a-z, 0-9, '-' and '.', at most 253 of them");
  return {};
}

std::string YamlValue::ip() const {
  const std::string have = text();
  if (auto address = Address::parse_ip(have, 0)) return address->ip();
  if (node_.IsScalar()) fail(quoted(have) + " is not an IPv4 or IPv6 address");
  return {};
}

// === collections ===

namespace {

// An empty value has no mark of its own; its key's line is the best there is.
int line_of(const YAML::Node& node, int fallback) {
  const YAML::Mark mark = node.Mark();
  return mark.is_null() ? fallback : mark.line + 1;
}

}  // namespace

std::vector<YamlValue> YamlValue::items() const {
  std::vector<YamlValue> out;
  if (is_null()) return out;
  if (!node_.IsSequence()) {
    fail("is not a list");
    return out;
  }
  for (size_t i = 0; i < node_.size(); ++i) {
    if (!report_->count_value()) {
      fail("the file holds too many values");
      return {};
    }
    const YAML::Node item = node_[i];
    out.emplace_back(item, path_ + "[" + std::to_string(i) + "]", line_of(item, line_), *report_);
  }
  return out;
}

std::vector<std::pair<std::string, YamlValue>> YamlValue::entries() const {
  std::vector<std::pair<std::string, YamlValue>> out;
  if (is_null()) return out;
  if (!node_.IsMap()) {
    fail("is not a mapping of fields");
    return out;
  }
  std::set<std::string> seen;
  for (auto it = node_.begin(); it != node_.end(); ++it) {
    if (!report_->count_value()) {
      fail("the file holds too many values");
      return {};
    }
    const int line = line_of(it->first, line_);
    if (!it->first.IsScalar()) {
      report_->add(line, path_, "has a key that is not a text");
      continue;
    }
    const std::string& key = it->first.Scalar();
    const std::string path = path_.empty() ? key : path_ + "." + key;
    if (!seen.insert(key).second) report_->add(line, path, "is given twice");
    // A scalar is blamed on its own line, a collection on the line of its key: that is where a reader looks first.
    const int at = it->second.IsScalar() ? line_of(it->second, line) : line;
    out.emplace_back(key, YamlValue(it->second, path, at, *report_));
  }
  return out;
}

std::map<std::string, std::string> YamlValue::string_map() const {
  std::map<std::string, std::string> out;
  for (const auto& [key, value] : entries()) out[key] = value.is_null() ? "" : value.text();
  return out;
}

// === mappings with known keys ===

YamlMap::YamlMap(const YamlValue& value, std::initializer_list<std::string_view> known,
                 std::initializer_list<std::string_view> ignored)
    : self_(value) {
  for (auto& [key, entry] : value.entries()) {
    if (std::ranges::find(known, key) != known.end()) {
      entries_.emplace_back(key, std::move(entry));
      continue;
    }
    if (std::ranges::find(ignored, key) != ignored.end()) continue;
    const std::vector<std::string_view> words(known);
    if (auto near = nearest(key, words)) {
      entry.fail("unknown field; did you mean " + std::string(*near) + "?");
    } else {
      entry.fail("unknown field; the fields here are " + joined(words));
    }
  }
}

std::optional<YamlValue> YamlMap::get(std::string_view key) const {
  for (const auto& [name, value] : entries_) {
    if (name == key && !value.is_null()) return value;
  }
  return std::nullopt;
}

std::optional<YamlValue> YamlMap::require(std::string_view key) const {
  auto out = get(key);
  if (!out) fail("the field " + std::string(key) + " is missing");
  return out;
}

std::string YamlMap::text(std::string_view key) const {
  auto value = get(key);
  return value ? value->text() : std::string();
}

}  // namespace pillion::xds::control
