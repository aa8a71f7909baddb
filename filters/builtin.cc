#include "filters/builtin.h"

#include "filters/http/fault_config.h"
#include "filters/http/header_mutation_config.h"

namespace pillion::filters {

const xds::FilterTable& builtin() {
  static const xds::FilterTable table{.http = {fault_filter(), header_mutation_filter()}};
  return table;
}

}  // namespace pillion::filters
