#pragma once

#include "xds/translate/translate.h"

namespace pillion::filters {

// envoy.filters.http.fault with envoy.extensions.filters.http.fault.v3.HTTPFault, in the chain and per route.
xds::FilterType fault_filter();

}  // namespace pillion::filters
