// envoy.type.matcher.v3 and the matchers of envoy.config.route.v3.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config/matcher.h"
#include "xds/translate/context.h"

namespace envoy::config::route::v3 {
class HeaderMatcher;
class QueryParameterMatcher;
}  // namespace envoy::config::route::v3
namespace envoy::type::matcher::v3 {
class RegexMatchAndSubstitute;
class RegexMatcher;
class StringMatcher;
}  // namespace envoy::type::matcher::v3

namespace pillion::xds {

std::shared_ptr<const config::Regex> to_regex(Context& cx, const envoy::type::matcher::v3::RegexMatcher& regex);
// `substitution` gets the text that replaces what the expression matches.
std::shared_ptr<const config::Regex> to_rewrite(Context& cx,
                                                const envoy::type::matcher::v3::RegexMatchAndSubstitute& rewrite,
                                                std::string& substitution);
config::StringMatcher to_string_matcher(Context& cx, const envoy::type::matcher::v3::StringMatcher& matcher);
config::HeaderMatcher to_header_matcher(Context& cx, const envoy::config::route::v3::HeaderMatcher& matcher);
config::QueryMatcher to_query_matcher(Context& cx, const envoy::config::route::v3::QueryParameterMatcher& matcher);

template <class Matchers>
std::vector<config::HeaderMatcher> to_header_matchers(Context& cx, std::string_view field, const Matchers& matchers) {
  const auto at = cx.field(field);
  std::vector<config::HeaderMatcher> out;
  for (const auto& matcher : matchers) {
    const auto in = cx.index(out.size());
    out.push_back(to_header_matcher(cx, matcher));
  }
  return out;
}

}  // namespace pillion::xds
