#include "filters/builtin.h"

#include "filters/http/fault_config.h"

namespace pillion::filters {

const xds::FilterTable& builtin() {
  static const xds::FilterTable table{.http = {fault_filter()}};
  return table;
}

}  // namespace pillion::filters
