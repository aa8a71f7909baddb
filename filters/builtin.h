// The filters that Pillion has, beside those that translation knows by itself. An explicit list: nothing registers
// itself.
#pragma once

#include "xds/translate/translate.h"

namespace pillion::filters {

const xds::FilterTable& builtin();  // lives as long as the process

}  // namespace pillion::filters
