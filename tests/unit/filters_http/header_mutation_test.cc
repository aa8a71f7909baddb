#include "filters/http/header_mutation.h"

#include <doctest/doctest.h>
#include <envoy/extensions/filters/http/header_mutation/v3/header_mutation.pb.h>

#include "filters/http/header_mutation_config.h"
#include "tests/unit/xds_translate/support.h"

namespace pillion::filters {

using namespace xds::testing;
using Message = envoy::extensions::filters::http::header_mutation::v3::HeaderMutation;
using PerRoute = envoy::extensions::filters::http::header_mutation::v3::HeaderMutationPerRoute;

TEST_CASE("header mutation: the messages become changes, in their order") {
  const xds::FilterType type = header_mutation_filter();
  const auto compiled = type.compile(
      read<Message>(
          "{most_specific_header_mutations_wins: true, mutations: {request_mutations: [{remove: X-A}, {append: "
          "{header: {key: X-B, value: '%REQ(x-c)%'}, append_action: ADD_IF_ABSENT}}], response_mutations: "
          "[{append: {header: {key: x-d, value: e}}}]}}"),
      "f");
  REQUIRE_MESSAGE(compiled.has_value(), error_of(compiled));
  const auto& config = dynamic_cast<const HeaderMutationConfig&>(**compiled);
  CHECK(config.most_specific_last());
  REQUIRE(config.changes().request.size() == 2);
  CHECK(std::get<FieldToRemove>(config.changes().request[0]).name == "x-a");
  const auto& addition = std::get<config::HeaderToAdd>(config.changes().request[1]);
  CHECK(addition.name == "X-B");
  CHECK(addition.action == config::HeaderToAdd::Action::add_if_absent);
  CHECK(config.changes().response.size() == 1);
  CHECK(type.compile_route(read<PerRoute>("{mutations: {request_mutations: [{remove: a}]}}"), "f").has_value());
}

TEST_CASE("header mutation: what may not be changed is refused with its place") {
  const std::pair<const char*, const char*> cases[] = {
      {"{mutations: {request_mutations: [{remove: a}, {remove: ':path'}]}}",
       "f.mutations.request_mutations[1].remove: pseudo-headers"},
      {"{mutations: {response_mutations: [{append: {header: {key: host, value: x}}}]}}",
       "f.mutations.response_mutations[0].append.header.key: pseudo-headers"},
      {"{mutations: {response_mutations: [{append: {header: {key: a, value: '%NO_SUCH%'}}}]}}",
       "f.mutations.response_mutations[0].append.header.value: "},
  };
  for (const auto& [yaml, want] : cases) {
    CAPTURE(yaml);
    const std::string error = error_of(header_mutation_filter().compile(read<Message>(yaml), "f"));
    CAPTURE(error);
    CHECK(error.starts_with(want));
  }
}

}  // namespace pillion::filters
