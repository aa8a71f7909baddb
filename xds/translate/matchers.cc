#include "xds/translate/matchers.h"

#include <envoy/config/route/v3/route_components.pb.h>
#include <envoy/type/matcher/v3/regex.pb.h>
#include <envoy/type/matcher/v3/string.pb.h>

#include "xds/translate/values.h"

namespace pillion::xds {

namespace route = envoy::config::route::v3;
namespace matcher = envoy::type::matcher::v3;

std::shared_ptr<const config::Regex> to_regex(Context& cx, const matcher::RegexMatcher& regex) {
  auto compiled = config::Regex::compile(regex.regex());
  if (compiled) return std::move(*compiled);
  cx.fail_at("regex", std::move(compiled.error()));
  return nullptr;
}

std::shared_ptr<const config::Regex> to_rewrite(Context& cx, const matcher::RegexMatchAndSubstitute& rewrite,
                                                std::string& substitution) {
  std::shared_ptr<const config::Regex> regex;
  {
    const auto at = cx.field("pattern");
    regex = to_regex(cx, rewrite.pattern());
  }
  substitution = rewrite.substitution();
  if (regex == nullptr) return nullptr;
  if (auto good = regex->check_substitution(substitution); !good) cx.fail_at("substitution", std::move(good.error()));
  return regex;
}

config::StringMatcher to_string_matcher(Context& cx, const matcher::StringMatcher& in) {
  using Kind = config::StringMatcher::Kind;
  config::StringMatcher out;
  out.ignore_case = in.ignore_case();
  switch (in.match_pattern_case()) {
    case matcher::StringMatcher::kExact: out.kind = Kind::exact, out.text = in.exact(); break;
    case matcher::StringMatcher::kPrefix: out.kind = Kind::prefix, out.text = in.prefix(); break;
    case matcher::StringMatcher::kSuffix: out.kind = Kind::suffix, out.text = in.suffix(); break;
    case matcher::StringMatcher::kContains: out.kind = Kind::contains, out.text = in.contains(); break;
    case matcher::StringMatcher::kSafeRegex: {
      const auto at = cx.field("safe_regex");
      out.kind = Kind::regex;
      out.ignore_case = false;
      out.regex = to_regex(cx, in.safe_regex());
      break;
    }
    case matcher::StringMatcher::kCustom: cx.unsupported("custom"); break;
    case matcher::StringMatcher::MATCH_PATTERN_NOT_SET: cx.fail("a pattern must be set"); break;
  }
  return out;
}

namespace {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

// The fields that string_match has replaced.
config::StringMatcher to_old_matcher(Context& cx, const route::HeaderMatcher& in) {
  using Kind = config::StringMatcher::Kind;
  config::StringMatcher out;
  switch (in.header_match_specifier_case()) {
    case route::HeaderMatcher::kExactMatch: out.text = in.exact_match(); break;
    case route::HeaderMatcher::kPrefixMatch: out.kind = Kind::prefix, out.text = in.prefix_match(); break;
    case route::HeaderMatcher::kSuffixMatch: out.kind = Kind::suffix, out.text = in.suffix_match(); break;
    case route::HeaderMatcher::kContainsMatch: out.kind = Kind::contains, out.text = in.contains_match(); break;
    default: {
      const auto at = cx.field("safe_regex_match");
      out.kind = Kind::regex;
      out.regex = to_regex(cx, in.safe_regex_match());
    }
  }
  return out;
}

#pragma GCC diagnostic pop

}  // namespace

config::HeaderMatcher to_header_matcher(Context& cx, const route::HeaderMatcher& in) {
  using Kind = config::HeaderMatcher::Kind;
  config::HeaderMatcher out;
  out.name = to_lower(in.name());
  out.invert = in.invert_match();
  out.treat_missing_as_empty = in.treat_missing_header_as_empty();
  switch (in.header_match_specifier_case()) {
    case route::HeaderMatcher::HEADER_MATCH_SPECIFIER_NOT_SET: break;
    case route::HeaderMatcher::kPresentMatch: out.want_present = in.present_match(); break;
    case route::HeaderMatcher::kRangeMatch:
      out.kind = Kind::range;
      out.range_start = in.range_match().start();
      out.range_end = in.range_match().end();
      break;
    case route::HeaderMatcher::kStringMatch: {
      const auto at = cx.field("string_match");
      out.kind = Kind::string;
      out.string = to_string_matcher(cx, in.string_match());
      break;
    }
    default:
      out.kind = Kind::string;
      out.string = to_old_matcher(cx, in);
      // Of these, an empty text asks only whether the header is there.
      if (out.string.kind == config::StringMatcher::Kind::exact && out.string.text.empty()) out.kind = Kind::present;
  }
  return out;
}

config::QueryMatcher to_query_matcher(Context& cx, const route::QueryParameterMatcher& in) {
  config::QueryMatcher out;
  out.name = in.name();
  if (in.has_string_match()) {
    const auto at = cx.field("string_match");
    out.string = to_string_matcher(cx, in.string_match());
  } else if (in.query_parameter_match_specifier_case() == route::QueryParameterMatcher::kPresentMatch) {
    out.want_present = in.present_match();
  }
  return out;
}

}  // namespace pillion::xds
