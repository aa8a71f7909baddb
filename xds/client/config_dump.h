// The configuration in force as people and istioctl read it: envoy.admin.v3.ConfigDump in JSON. Secrets are redacted.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "xds/client/resource_store.h"

namespace pillion::xds::client {

struct ConfigDumpQuery {
  bool include_endpoints = false;  // include_eds
  std::string resource;            // "dynamic_listeners", …: only the entries of that field
  std::string name_regex;          // resources whose whole name matches
};

// `bootstrap` is a serialized envoy.config.bootstrap.v3.Bootstrap, empty where there is none; `store` may be null. The
// error is a sentence about the query.
std::expected<std::string, std::string> config_dump(std::string_view bootstrap, int64_t started_wall_us,
                                                    const ResourceStore* store, const ConfigDumpQuery& query);

}  // namespace pillion::xds::client
