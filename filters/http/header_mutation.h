// Header mutation (envoy.filters.http.header_mutation): header fields of requests and responses are added, replaced and
// removed, one after the other in the order of the configuration.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "proxy/filter/filter.h"

namespace pillion::filters {

struct FieldToRemove {
  std::string name;  // lower case
};
using FieldChange = std::variant<config::HeaderToAdd, FieldToRemove>;

struct FieldChanges {
  std::vector<FieldChange> request;
  std::vector<FieldChange> response;
};

// The entry in the chain, whose changes are made first, and what the levels of a route add to them.
class HeaderMutationConfig final : public filter::HttpFilterConfig {
 public:
  HeaderMutationConfig(FieldChanges changes, bool most_specific_last)
      : changes_(std::move(changes)), most_specific_last_(most_specific_last) {}
  std::unique_ptr<filter::Filter> make(filter::FilterContext& context) const override;
  const FieldChanges& changes() const { return changes_; }
  bool most_specific_last() const { return most_specific_last_; }  // of the levels: else it is the first

 private:
  FieldChanges changes_;
  bool most_specific_last_;
};

}  // namespace pillion::filters
