// The header mutation filter's messages into its changes.
#include "filters/http/header_mutation_config.h"

#include <envoy/extensions/filters/http/header_mutation/v3/header_mutation.pb.h>

#include "filters/http/header_mutation.h"
#include "xds/translate/routes_parts.h"
#include "xds/translate/values.h"

namespace pillion::filters {
namespace {

namespace mutation = envoy::extensions::filters::http::header_mutation::v3;
using Compiled = std::expected<std::shared_ptr<const config::FilterConfig>, ConfigError>;

constexpr const char* kType = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation";
constexpr const char* kRouteType = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute";

constexpr xds::KnownFields kKnown[] = {
    {kType, "mutations most_specific_header_mutations_wins"},
    {kRouteType, "mutations"},
    {"envoy.extensions.filters.http.header_mutation.v3.Mutations", "request_mutations response_mutations"},
    {"envoy.config.common.mutation_rules.v3.HeaderMutation", "remove append"},
};

template <class List>
std::vector<FieldChange> to_changes(xds::Context& cx, std::string_view field, const List& list) {
  const auto at = cx.field(field);
  std::vector<FieldChange> out;
  for (const auto& change : list) {
    const auto in_list = cx.index(out.size());
    if (change.has_append()) {
      const auto in_append = cx.field("append");
      out.emplace_back(xds::to_header_to_add(cx, change.append()));
    } else {
      const auto in_remove = cx.field("remove");
      xds::check_header_name(cx, change.remove());
      out.emplace_back(FieldToRemove{xds::to_lower(change.remove())});
    }
  }
  return out;
}

FieldChanges to_changes(xds::Context& cx, const mutation::Mutations& in) {
  const auto at = cx.field("mutations");
  return {to_changes(cx, "request_mutations", in.request_mutations()),
          to_changes(cx, "response_mutations", in.response_mutations())};
}

Compiled finish(xds::Context& cx, FieldChanges changes, bool most_specific_last) {
  if (cx.failed()) return std::unexpected(std::move(cx.take_errors().front()));
  return std::make_shared<const HeaderMutationConfig>(std::move(changes), most_specific_last);
}

Compiled compile(const google::protobuf::Message& message, std::string_view path) {
  const auto& in = static_cast<const mutation::HeaderMutation&>(message);
  const xds::TranslationOptions options;
  xds::Context cx(options, path, 1);
  return finish(cx, to_changes(cx, in.mutations()), in.most_specific_header_mutations_wins());
}

Compiled compile_route(const google::protobuf::Message& message, std::string_view path) {
  const xds::TranslationOptions options;
  xds::Context cx(options, path, 1);
  return finish(cx, to_changes(cx, static_cast<const mutation::HeaderMutationPerRoute&>(message).mutations()), false);
}

}  // namespace

xds::FilterType header_mutation_filter() {
  return {.name = "envoy.filters.http.header_mutation",
          .config_type = kType,
          .compile = compile,
          .route_type = kRouteType,
          .compile_route = compile_route,
          .known = kKnown};
}

}  // namespace pillion::filters
