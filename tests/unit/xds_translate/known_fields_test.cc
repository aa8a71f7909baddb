#include "xds/translate/known_fields.h"

#include <doctest/doctest.h>
#include <google/protobuf/descriptor.h>

#include <map>
#include <set>
#include <string>

#include "xds/api/any.h"

namespace pillion::xds {

namespace {

using Fields = std::map<std::string, std::set<std::string>>;  // by type

void enter(std::string_view type, std::string_view fields, Fields& out) {
  std::set<std::string>& names = out[std::string(type)];
  while (!fields.empty()) {
    const size_t space = fields.find(' ');
    const bool fresh = names.emplace(fields.substr(0, space)).second;
    CHECK_MESSAGE(fresh, std::string(type) << " names " << std::string(fields.substr(0, space)) << " twice");
    fields = space == std::string_view::npos ? std::string_view() : fields.substr(space + 1);
  }
}

}  // namespace

TEST_CASE("known fields: every name is a field, and none is in both tables") {
  Fields all;
  for (const KnownFields& known : read_fields()) enter(known.type, known.fields, all);
  for (const IgnoredFields& ignored : ignored_fields()) {
    enter(ignored.type, ignored.fields, all);
    CHECK(!ignored.reason.empty());
  }
  for (const auto& [type, names] : all) {
    CAPTURE(type);
    const auto* descriptor = find_type(std::string(kTypeUrlPrefix) + type);
    REQUIRE(descriptor != nullptr);
    for (const std::string& name : names) {
      CAPTURE(name);
      CHECK(descriptor->FindFieldByName(name) != nullptr);
    }
  }
}

TEST_CASE("known fields: what a read field holds has a row of its own, or no fields") {
  Fields read;
  for (const KnownFields& known : read_fields()) enter(known.type, known.fields, read);
  for (const auto& [type, names] : read) {
    const auto* descriptor = find_type(std::string(kTypeUrlPrefix) + type);
    REQUIRE(descriptor != nullptr);
    for (const std::string& name : names) {
      const auto* field = descriptor->FindFieldByName(name);
      REQUIRE(field != nullptr);
      const auto* held = field->is_map() ? field->message_type()->map_value()->message_type() : field->message_type();
      if (held == nullptr || held->field_count() == 0 || held->full_name().starts_with("google.protobuf.")) continue;
      CAPTURE(type);
      CAPTURE(name);
      CHECK_MESSAGE(read.contains(held->full_name()), held->full_name());
    }
  }
}

}  // namespace pillion::xds
