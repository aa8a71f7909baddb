#pragma once

#include "xds/translate/translate.h"

namespace pillion::filters {

// envoy.filters.http.header_mutation with envoy.extensions.filters.http.header_mutation.v3.HeaderMutation, and
// HeaderMutationPerRoute per route.
xds::FilterType header_mutation_filter();

}  // namespace pillion::filters
