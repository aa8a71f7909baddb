// What the proxy is and how it does.
#include <fmt/format.h>

#include "proxy/admin/json.h"
#include "proxy/admin/memory.h"
#include "proxy/admin/pages.h"

namespace pillion::admin {
namespace {

std::string html_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string seconds_text(Duration d) {
  return std::to_string(d.count() / 1'000'000) + "s";
}

}  // namespace

void write_address(JsonWriter& json, const Address& address) {
  json.begin_object();
  if (address.is_pipe()) {
    json.key("pipe").begin_object().field("path", address.path()).end_object();
  } else {
    json.key("socket_address").begin_object().field("address", address.ip()).field("port_value", address.port());
    json.end_object();
  }
  json.end_object();
}

std::string list_of_pages(const Context& context) {
  std::string out;
  for (const auto& page : *context.pages) {
    const PageInfo& info = page->info();
    out += fmt::format("  {}{}: {}\n", info.path, info.mutates ? " (POST)" : "", info.help);
    for (const auto& [name, help] : info.parameters) out += fmt::format("      {}: {}\n", name, help);
  }
  return out;
}

rpc::HttpResponse home_page(Context& context, const PageRequest&) {
  std::string out =
      "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<title>Pillion Admin</title>\n<meta charset='utf-8'>\n"
      "<style>body{font-family:sans-serif}td{padding:4px;vertical-align:top}</style>\n</head>\n<body>\n<table>\n";
  for (const auto& page : *context.pages) {
    const PageInfo& info = page->info();
    const std::string path = html_escaped(info.path);
    if (info.mutates) {
      out += fmt::format("<tr><td><form action='{}' method='post'><button>{}</button></form></td><td>{}</td></tr>\n",
                         path, path, html_escaped(info.help));
    } else {
      out += fmt::format("<tr><td><a href='{}'>{}</a></td><td>{}</td></tr>\n", path, path, html_escaped(info.help));
    }
  }
  return {.content_type = "text/html; charset=UTF-8", .body = out + "</table>\n</body>\n</html>\n"};
}

rpc::HttpResponse help_page(Context& context, const PageRequest&) {
  return text_page("admin commands are:\n" + list_of_pages(context));
}

rpc::HttpResponse ready_page(Context& context, const PageRequest&) {
  return text_page(std::string(context.state()) + "\n", context.state_number() == 0 ? 200 : 503);
}

rpc::HttpResponse server_info_page(Context& context, const PageRequest&) {
  const CommandLine& line = context.options.command_line;
  const std::string uptime = seconds_text(context.server.main_loop().now() - context.started);
  JsonWriter json;
  json.begin_object()
      .field("version", context.options.version)
      .field("state", context.state())
      .field("uptime_current_epoch", uptime)
      .field("uptime_all_epochs", uptime)
      .field("hot_restart_version", "disabled");
  json.key("command_line_options")
      .begin_object()
      .field("base_id", "0")
      .field("concurrency", line.concurrency)
      .field("config_path", line.config_path)
      .field("log_level", line.log_level)
      .field("service_cluster", line.service_cluster)
      .field("service_node", line.service_node)
      .field("drain_time", seconds_text(line.drain_time))
      .field("mode", "Serve")
      .key("disable_hot_restart")
      .boolean(true)
      .end_object();
  json.key("node").raw(context.options.node_json).end_object();
  return json_page(json.take());
}

rpc::HttpResponse memory_page(Context&, const PageRequest&) {
  const MemoryUse memory = memory_use();
  JsonWriter json;
  json.begin_object()
      .field("allocated", std::to_string(memory.allocated_bytes))
      .field("heap_size", std::to_string(memory.heap_bytes))
      .field("pageheap_unmapped", "0")
      .field("pageheap_free", std::to_string(memory.free_bytes))
      .field("total_thread_cache", "0")
      .field("total_physical_bytes", std::to_string(memory.resident_bytes))
      .end_object();
  return json_page(json.take());
}

rpc::HttpResponse listeners_page(Context& context, const PageRequest& request) {
  const std::vector<worker::ListenerStatus> listeners = context.server.listeners();
  if (request.query.get("format") != "json") {
    std::string out;
    for (const worker::ListenerStatus& one : listeners) {
      for (const Address& address : one.addresses) out += one.name + "::" + address.to_string() + "\n";
    }
    return text_page(out);
  }
  JsonWriter json;
  json.begin_object().key("listener_statuses").begin_array();
  for (const worker::ListenerStatus& one : listeners) {
    json.begin_object().field("name", one.name);
    for (size_t i = 0; i < one.addresses.size(); ++i) {
      if (i == 0) json.key("local_address");
      if (i == 1) json.key("additional_local_addresses").begin_array();
      write_address(json, one.addresses[i]);
    }
    if (one.addresses.size() > 1) json.end_array();
    json.end_object();
  }
  json.end_array().end_object();
  return json_page(json.take());
}

}  // namespace pillion::admin
