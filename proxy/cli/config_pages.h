// The admin pages that need more than the admin layer may see: /config_dump.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/admin/page.h"
#include "xds/client/resource_store.h"

namespace pillion::cli {

// `bootstrap` is the serialized message, empty where there is none; `store` outlives the pages and may be null.
std::vector<std::unique_ptr<admin::Page>> make_config_pages(std::string bootstrap, int64_t started_wall_us,
                                                            const xds::client::ResourceStore* store);

}  // namespace pillion::cli
