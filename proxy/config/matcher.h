// Compiled matchers of the xDS API (envoy.type.matcher.v3 and route.v3). Pure: values in, bool out. The only home of
// RE2.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pillion::config {

// A regular expression that matches a whole text (FullMatch), or rewrites the parts it matches (Replace).
class Regex {
 public:
  static constexpr size_t kProgramSizeMax = 10'000;  // RE2 program instructions; larger ones are refused
  static std::expected<std::shared_ptr<const Regex>, std::string> compile(std::string_view pattern);
  virtual ~Regex() = default;
  // Whether `substitution` is well formed and names only groups that the pattern has; else what is wrong with it.
  virtual std::expected<void, std::string> check_substitution(std::string_view substitution) const = 0;
  virtual bool matches(std::string_view text) const = 0;
  // Every match replaced by `substitution` with \0..\9 for groups.
  virtual std::string replace_all(std::string_view text, std::string_view substitution) const = 0;
  virtual const std::string& pattern() const = 0;
};

// envoy.type.matcher.v3.StringMatcher
struct StringMatcher {
  enum class Kind : uint8_t { exact, prefix, suffix, contains, regex };
  Kind kind = Kind::exact;
  std::string text;
  bool ignore_case = false;  // not for regex
  std::shared_ptr<const Regex> regex;
  bool matches(std::string_view value) const;
};

// envoy.config.route.v3.HeaderMatcher. A header that is there more than once fulfils the matcher when one of its values
// does, and an inverted one when none of them does. The templates take the heads and maps of http/, which config/ does
// not see.
struct HeaderMatcher {
  enum class Kind : uint8_t { present, string, range };
  std::string name;  // lower case; ":method", ":path", ":authority" and ":scheme" are looked up in the head
  Kind kind = Kind::present;
  bool want_present = true;  // present_match
  StringMatcher string;
  int64_t range_start = 0;  // [start, end)
  int64_t range_end = 0;
  bool invert = false;
  bool treat_missing_as_empty = false;

  // A header with one value, or with none.
  bool matches(std::optional<std::string_view> value) const;
  // A header map: every field of the name is looked at.
  template <class Fields>
  bool matches_fields(const Fields& fields) const {
    bool found = false;
    for (const auto& field : fields) {
      if (!is_named(field.name)) continue;
      if (accepts(field.value)) return !invert;
      found = true;
    }
    return found ? invert : matches(std::nullopt);
  }
  // A request: pseudo-headers, Host and Content-Length are members of its head.
  template <class RequestHead>
  bool matches_request(const RequestHead& head) const {
    if (name == ":path") return matches(head.path);
    if (name == ":method") return matches(head.method);
    if (name == ":authority" || name == "host") return matches(head.authority);
    if (name == ":scheme") return matches(head.scheme);
    if (name == "content-length") {
      return matches(head.content_length ? std::optional<std::string_view>(std::to_string(*head.content_length))
                                         : std::nullopt);
    }
    return matches_fields(head.headers);
  }

 private:
  bool accepts(std::string_view value) const;  // without `invert`
  bool is_named(std::string_view field_name) const;
};

// envoy.config.route.v3.QueryParameterMatcher: the first parameter of that name, not decoded (as Envoy does).
struct QueryMatcher {
  std::string name;
  std::optional<StringMatcher> string;  // none: present_match
  bool want_present = true;
  bool matches(std::string_view query) const;
};

// The path of a RouteMatch; the query is not part of what is compared.
struct PathMatcher {
  enum class Kind : uint8_t { prefix, exact, regex, separated_prefix, connect };
  Kind kind = Kind::prefix;
  std::string text;
  bool case_sensitive = true;
  std::shared_ptr<const Regex> regex;
  bool matches(std::string_view path_without_query) const;
};

}  // namespace pillion::config
