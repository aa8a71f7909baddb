#include "proxy/config/matcher.h"

#include <re2/re2.h>

#include <algorithm>
#include <charconv>

namespace pillion::config {
namespace {

class CompiledRegex final : public Regex {
 public:
  explicit CompiledRegex(std::string_view pattern)
      : pattern_(pattern), re_(re2::StringPiece(pattern.data(), pattern.size()), RE2::Quiet) {}

  const RE2& re() const { return re_; }
  bool matches(std::string_view text) const override {
    return RE2::FullMatch(re2::StringPiece(text.data(), text.size()), re_);
  }
  std::string replace_all(std::string_view text, std::string_view substitution) const override {
    std::string out(text);
    RE2::GlobalReplace(&out, re_, re2::StringPiece(substitution.data(), substitution.size()));
    return out;
  }
  std::expected<void, std::string> check_substitution(std::string_view substitution) const override {
    std::string why;
    if (re_.CheckRewriteString(re2::StringPiece(substitution.data(), substitution.size()), &why)) return {};
    return std::unexpected(why);
  }
  const std::string& pattern() const override { return pattern_; }

 private:
  std::string pattern_;
  RE2 re_;
};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

bool same(std::string_view a, std::string_view b, bool ignore_case) {
  if (!ignore_case) return a == b;
  return std::ranges::equal(a, b, {}, lower, lower);
}

bool starts_with(std::string_view text, std::string_view prefix, bool ignore_case) {
  return text.size() >= prefix.size() && same(text.substr(0, prefix.size()), prefix, ignore_case);
}

bool ends_with(std::string_view text, std::string_view suffix, bool ignore_case) {
  return text.size() >= suffix.size() && same(text.substr(text.size() - suffix.size()), suffix, ignore_case);
}

bool contains(std::string_view text, std::string_view part, bool ignore_case) {
  if (!ignore_case) return text.find(part) != std::string_view::npos;
  return part.empty() || !std::ranges::search(text, part, {}, lower, lower).empty();
}

// A whole decimal number with an optional sign.
std::optional<int64_t> parse_integer(std::string_view s) {
  if (s.starts_with('+')) {
    s.remove_prefix(1);
    if (s.starts_with('-')) return std::nullopt;
  }
  int64_t n = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), n);
  if (error != std::errc() || end != s.data() + s.size()) return std::nullopt;
  return n;
}

}  // namespace

std::expected<std::shared_ptr<const Regex>, std::string> Regex::compile(std::string_view pattern) {
  auto compiled = std::make_shared<const CompiledRegex>(pattern);
  if (!compiled->re().ok()) {
    return std::unexpected("\"" + std::string(pattern) +
                           "\" is not a regular expression of RE2: " + compiled->re().error());
  }
  const int size = compiled->re().ProgramSize();
  if (size < 0 || static_cast<size_t>(size) > kProgramSizeMax) {
    return std::unexpected("\"" + std::string(pattern) + "\" compiles to " + std::to_string(size) +
                           " instructions, the limit is " + std::to_string(kProgramSizeMax));
  }
  return compiled;
}

bool StringMatcher::matches(std::string_view value) const {
  switch (kind) {
    case Kind::exact: return same(value, text, ignore_case);
    case Kind::prefix: return starts_with(value, text, ignore_case);
    case Kind::suffix: return ends_with(value, text, ignore_case);
    case Kind::contains: return contains(value, text, ignore_case);
    case Kind::regex: return regex != nullptr && regex->matches(value);
  }
  return false;
}

bool HeaderMatcher::is_named(std::string_view field_name) const {
  return same(field_name, name, true);
}

bool HeaderMatcher::accepts(std::string_view value) const {
  switch (kind) {
    case Kind::present: return want_present;
    case Kind::string: return string.matches(value);
    case Kind::range: {
      const std::optional<int64_t> n = parse_integer(value);
      return n && *n >= range_start && *n < range_end;
    }
  }
  return false;
}

bool HeaderMatcher::matches(std::optional<std::string_view> value) const {
  if (!value && treat_missing_as_empty) value = "";
  if (value) return accepts(*value) != invert;
  // What is not there has no value to compare, so that inverting a comparison does not make it true.
  return kind == Kind::present && !want_present != invert;
}

bool QueryMatcher::matches(std::string_view query) const {
  while (!query.empty()) {
    const std::string_view parameter = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(parameter.size() + 1, query.size()));
    const size_t equals = parameter.find('=');
    if (parameter.substr(0, equals) != name) continue;
    const std::string_view value = equals == std::string_view::npos ? std::string_view() : parameter.substr(equals + 1);
    return string ? string->matches(value) : want_present;
  }
  return !string && !want_present;
}

bool PathMatcher::matches(std::string_view path) const {
  switch (kind) {
    case Kind::prefix: return starts_with(path, text, !case_sensitive);
    case Kind::exact: return same(path, text, !case_sensitive);
    case Kind::regex: return regex != nullptr && regex->matches(path);
    case Kind::separated_prefix:
      return starts_with(path, text, !case_sensitive) && (path.size() == text.size() || path[text.size()] == '/');
    case Kind::connect: return false;  // the method decides, and the path of CONNECT is empty
  }
  return false;
}

}  // namespace pillion::config
