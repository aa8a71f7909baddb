#include "proxy/config/matcher.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace pillion::config;

namespace {

std::shared_ptr<const Regex> regex(std::string_view pattern) {
  auto compiled = Regex::compile(pattern);
  REQUIRE_MESSAGE(compiled.has_value(), compiled.error());
  return *compiled;
}

using Kind = StringMatcher::Kind;

StringMatcher string_matcher(Kind kind, std::string_view text, bool ignore_case = false) {
  StringMatcher m{kind, std::string(text), ignore_case, nullptr};
  if (kind == Kind::regex) m.regex = regex(text);
  return m;
}

struct Field {
  std::string name, value;
};
using Fields = std::vector<Field>;

}  // namespace

TEST_CASE("regex: matches the whole text and nothing less") {
  CHECK(regex("/re/[0-9]+")->matches("/re/123"));
  CHECK_FALSE(regex("/re/[0-9]+")->matches("/re/123/x"));
  CHECK_FALSE(regex("/re/[0-9]+")->matches("x/re/123"));
  CHECK(regex("a|b")->matches("b"));
  CHECK(regex("")->matches(""));
  CHECK(regex("a.c")->matches(std::string_view("a\0c", 3)));
}

TEST_CASE("regex: replaces every match and numbers the groups") {
  struct Case {
    const char *pattern, *text, *substitution, *want;
  };
  static constexpr Case kCases[] = {
      {"^/rx/([^/]+)/([^/?]+)", "/rx/one/two/rest", "/\\2/\\1", "/two/one/rest"},
      {"b", "abcb", "[\\0]", "a[b]c[b]"},
      {"x", "abc", "y", "abc"},
      {"(a)(b)?", "a", "\\1\\2", "a"},
      {"a", "aa", "\\\\", "\\\\"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.pattern);
    CAPTURE(c.text);
    CHECK(regex(c.pattern)->replace_all(c.text, c.substitution) == c.want);
  }
  CHECK(regex("(a)")->check_substitution("\\1 \\0 \\\\").has_value());
  CHECK_FALSE(regex("(a)")->check_substitution("\\2").has_value());
  CHECK_FALSE(regex("(a)")->check_substitution("\\x").has_value());
}

TEST_CASE("regex: what is malformed or too large is refused with a reason") {
  for (const std::string& pattern :
       {std::string("("), std::string("a{1001}"), std::string("(?=x)"), std::string("[^a-z]{900}\\pL{900}")}) {
    CAPTURE(pattern);
    const auto compiled = Regex::compile(pattern);
    REQUIRE_FALSE(compiled.has_value());
    CHECK(compiled.error().find(pattern) != std::string::npos);
  }
}

TEST_CASE("string matcher: every kind, with and without case") {
  struct Case {
    Kind kind;
    const char* text;
    bool ignore_case;
    const char* value;
    bool want;
  };
  static constexpr Case kCases[] = {
      {Kind::exact, "Value", false, "Value", true},
      {Kind::exact, "Value", false, "value", false},
      {Kind::exact, "Value", true, "vALUE", true},
      {Kind::exact, "", false, "", true},
      {Kind::exact, "", false, "x", false},
      {Kind::prefix, "abc", false, "abcdef", true},
      {Kind::prefix, "abc", false, "xabc", false},
      {Kind::prefix, "abc", false, "ab", false},
      {Kind::prefix, "aBc", true, "AbCd", true},
      {Kind::suffix, "xyz", false, "wxyz", true},
      {Kind::suffix, "xyz", false, "yz", false},
      {Kind::suffix, "XYZ", true, "wxyz", true},
      {Kind::contains, "mid", false, "amidst", true},
      {Kind::contains, "mid", false, "aMidst", false},
      {Kind::contains, "MID", true, "amidst", true},
      {Kind::contains, "mid", true, "mi", false},
      {Kind::contains, "", true, "", true},
      {Kind::regex, "[a-c]+[0-9]", false, "abc1", true},
      {Kind::regex, "[a-c]+[0-9]", false, "abc12", false},
      {Kind::exact, "k\xc3\x84", true, "K\xc3\x84", true},
      {Kind::exact, "\xc3\x84", true, "\xc3\xa4", false},  // only ASCII has a case
  };
  for (const Case& c : kCases) {
    CAPTURE(c.text);
    CAPTURE(c.value);
    CHECK(string_matcher(c.kind, c.text, c.ignore_case).matches(c.value) == c.want);
  }
}

// Each row was asked of Envoy 1.40.
TEST_CASE("header matcher: one value, none, inverted, and missing taken as empty") {
  struct Case {
    const char* name;
    HeaderMatcher matcher;
    bool of_none, of_empty, of_b;
  };
  const auto matcher = [](HeaderMatcher::Kind kind, bool want_present, const char* text, bool invert, bool missing) {
    HeaderMatcher m;
    m.name = "x";
    m.kind = kind;
    m.want_present = want_present;
    m.string = string_matcher(Kind::exact, text);
    m.range_start = 0;
    m.range_end = 1;
    m.invert = invert;
    m.treat_missing_as_empty = missing;
    return m;
  };
  using HK = HeaderMatcher::Kind;
  const Case cases[] = {
      {"present", matcher(HK::present, true, "", false, false), false, true, true},
      {"absent", matcher(HK::present, false, "", false, false), true, false, false},
      {"present, inverted", matcher(HK::present, true, "", true, false), true, false, false},
      {"absent, inverted", matcher(HK::present, false, "", true, false), false, true, true},
      {"present, missing is empty", matcher(HK::present, true, "", false, true), true, true, true},
      {"absent, missing is empty", matcher(HK::present, false, "", false, true), false, false, false},
      {"exact", matcher(HK::string, true, "b", false, false), false, false, true},
      {"exact, inverted", matcher(HK::string, true, "b", true, false), false, true, false},
      {"exact, inverted, missing is empty", matcher(HK::string, true, "b", true, true), true, true, false},
      {"empty, missing is empty", matcher(HK::string, true, "", false, true), true, true, false},
      {"empty, inverted, missing is empty", matcher(HK::string, true, "", true, true), false, false, true},
      {"range, missing is empty", matcher(HK::range, true, "", false, true), false, false, false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    CHECK(c.matcher.matches(std::nullopt) == c.of_none);
    CHECK(c.matcher.matches("") == c.of_empty);
    CHECK(c.matcher.matches("b") == c.of_b);
    CHECK(c.matcher.matches_fields(Fields{{"y", "b"}}) == c.of_none);
    CHECK(c.matcher.matches_fields(Fields{{"X", "b"}}) == c.of_b);
  }
}

TEST_CASE("header matcher: repeated fields are looked at one by one") {
  HeaderMatcher m;
  m.name = "x";
  m.kind = HeaderMatcher::Kind::string;
  m.string = string_matcher(Kind::exact, "b");
  CHECK(m.matches_fields(Fields{{"x", "a"}, {"x", "b"}}));
  CHECK_FALSE(m.matches_fields(Fields{{"x", "a,b"}}));
  m.string = string_matcher(Kind::exact, "a,b");
  CHECK_FALSE(m.matches_fields(Fields{{"x", "a"}, {"x", "b"}}));
  CHECK(m.matches_fields(Fields{{"x", "a,b"}}));
  m.string = string_matcher(Kind::exact, "b");
  m.invert = true;
  CHECK_FALSE(m.matches_fields(Fields{{"x", "a"}, {"x", "b"}}));
  CHECK(m.matches_fields(Fields{{"x", "a"}, {"x", "c"}}));
  CHECK_FALSE(m.matches_fields(Fields{{"y", "c"}}));
}

TEST_CASE("header matcher: ranges are half open and take whole numbers only") {
  HeaderMatcher m;
  m.name = "x";
  m.kind = HeaderMatcher::Kind::range;
  m.range_start = -5;
  m.range_end = 20;
  struct Case {
    const char* value;
    bool want;
  };
  static constexpr Case kCases[] = {{"-5", true},   {"-6", false},
                                    {"19", true},   {"20", false},
                                    {"+5", true},   {"05", true},
                                    {"-0", true},   {"1x", false},
                                    {"", false},    {"0x5", false},
                                    {"+", false},   {"+-1", false},
                                    {"1.0", false}, {"99999999999999999999", false}};
  for (const Case& c : kCases) {
    CAPTURE(c.value);
    CHECK(m.matches(c.value) == c.want);
  }
}

TEST_CASE("query matcher: the first parameter of the name counts, as it is written") {
  QueryMatcher one{"a", string_matcher(Kind::exact, "1"), true};
  QueryMatcher present{"b", std::nullopt, true};
  QueryMatcher absent{"b", std::nullopt, false};
  struct Case {
    const char* query;
    bool one, present;
  };
  static constexpr Case kCases[] = {
      {"a=1", true, false},      {"a=%31", false, false}, {"b", false, true},      {"b=1&a=2&a=1", false, true},
      {"A=1", false, false},     {"", false, false},      {"=1&a=1", true, false}, {";a=1", false, false},
      {"a=1;b=2", false, false}, {"b=&a=1", true, true},  {"&&a=1&", true, false}, {"ab=1&xa=1", false, false},
      {"a=1=2", false, false},   {"a", false, false},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.query);
    CHECK(one.matches(c.query) == c.one);
    CHECK(present.matches(c.query) == c.present);
    CHECK(absent.matches(c.query) == !c.present);
  }
}

TEST_CASE("path matcher: every kind") {
  using PK = PathMatcher::Kind;
  struct Case {
    PK kind;
    const char* text;
    bool case_sensitive;
    const char* path;
    bool want;
  };
  static constexpr Case kCases[] = {
      {PK::prefix, "/a", true, "/abc", true},
      {PK::prefix, "/a", true, "/", false},
      {PK::prefix, "/A", true, "/abc", false},
      {PK::prefix, "/A", false, "/abc", true},
      {PK::prefix, "/", true, "", false},
      {PK::prefix, "", true, "*", true},
      {PK::exact, "/exact", true, "/exact", true},
      {PK::exact, "/exact", true, "/exact/", false},
      {PK::exact, "/Exact", false, "/exACT", true},
      {PK::separated_prefix, "/sep", true, "/sep", true},
      {PK::separated_prefix, "/sep", true, "/sep/x", true},
      {PK::separated_prefix, "/sep", true, "/sepx", false},
      {PK::separated_prefix, "/Sep", false, "/SEP/", true},
      {PK::connect, "", true, "", false},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.text);
    CAPTURE(c.path);
    CHECK(PathMatcher{c.kind, c.text, c.case_sensitive, nullptr}.matches(c.path) == c.want);
  }
  CHECK(PathMatcher{PK::regex, "", true, regex("/re/[0-9]+")}.matches("/re/1"));
  CHECK_FALSE(PathMatcher{PK::regex, "", true, regex("/re/[0-9]+")}.matches("/re/1/"));
}
