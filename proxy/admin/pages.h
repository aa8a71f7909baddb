// The pages of this layer: one function each, and the table that registers them.
#pragma once

#include <string>
#include <vector>

#include "proxy/admin/context.h"
#include "proxy/admin/page.h"

namespace pillion::admin {

class JsonWriter;

using PageFunction = rpc::HttpResponse (*)(Context& context, const PageRequest& request);

std::string list_of_pages(const Context& context);             // /help, without its first line
void write_address(JsonWriter& json, const Address& address);  // envoy.config.core.v3.Address

// pages_info.cc
rpc::HttpResponse home_page(Context&, const PageRequest&);
rpc::HttpResponse help_page(Context&, const PageRequest&);
rpc::HttpResponse ready_page(Context&, const PageRequest&);
rpc::HttpResponse server_info_page(Context&, const PageRequest&);
rpc::HttpResponse memory_page(Context&, const PageRequest&);
rpc::HttpResponse listeners_page(Context&, const PageRequest&);
// pages_clusters.cc
rpc::HttpResponse clusters_page(Context&, const PageRequest&);
// pages_certs.cc
rpc::HttpResponse certs_page(Context&, const PageRequest&);
// pages_stats.cc
rpc::HttpResponse stats_page(Context&, const PageRequest&);
rpc::HttpResponse prometheus_page(Context&, const PageRequest&);
// pages_control.cc
rpc::HttpResponse logging_page(Context&, const PageRequest&);
rpc::HttpResponse drain_listeners_page(Context&, const PageRequest&);
rpc::HttpResponse health_fail_page(Context&, const PageRequest&);
rpc::HttpResponse health_ok_page(Context&, const PageRequest&);
rpc::HttpResponse reset_counters_page(Context&, const PageRequest&);
rpc::HttpResponse reopen_logs_page(Context&, const PageRequest&);
rpc::HttpResponse quit_page(Context&, const PageRequest&);

struct PageEntry {
  PageInfo info;
  PageFunction function;
};
std::vector<PageEntry> own_pages();

}  // namespace pillion::admin
