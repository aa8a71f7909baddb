#include "xds/control/pages.h"

#include "xds/api/any.h"
#include "xds/control/json_writer.h"

namespace pillion::xds::control {

namespace {

void put_errors(JsonWriter& out, const std::vector<ConfigError>& errors) {
  out.begin_list();
  for (const ConfigError& error : errors) {
    out.begin_object().field("file", error.file).field("line", static_cast<uint64_t>(error.line));
    out.field("field", error.path).field("reason", error.reason).end_object();
  }
  out.end_list();
}

void put_type(JsonWriter& out, const TypeStatus& type) {
  out.begin_object().field("type", type_name(type.type_url)).flag("wildcard", type.wildcard);
  out.field("names", type.names).field("resources", type.resources);
  out.field("sent", type.sent_version).field("acked", type.acked_version).field("in_flight", type.in_flight);
  out.key("rejections").begin_list();
  for (const Rejection& r : type.rejections) {
    out.begin_object().field("name", r.name).field("version", r.version).field("text", r.text).end_object();
  }
  out.end_list().end_object();
}

void put_proxy(JsonWriter& out, const ProxyStatus& proxy) {
  out.begin_object().field("node", proxy.node_id).field("cluster", proxy.node_cluster);
  out.field("identity", proxy.spiffe_id).field("address", proxy.address).field("zone", proxy.zone);
  out.field("program", proxy.user_agent).field("protocol", proxy.delta ? "delta" : "sotw");
  out.field("connected", format_rfc3339_ms(proxy.connected_wall_us));
  out.field("revision_sent", proxy.sent_revision).field("revision_acked", proxy.acked_revision);
  out.field("resources_sent", proxy.resources_sent);
  out.flag("settled", proxy.settled);
  out.key("types").begin_list();
  for (const TypeStatus& type : proxy.types) put_type(out, type);
  out.end_list().end_object();
}

}  // namespace

std::string Pages::ready() const {
  std::string out = "LIVE\nrevision " + std::to_string(state_.revision()) + "\n";
  for (const ConfigError& error : state_.errors()) out += "refused: " + error.to_string() + "\n";
  return out;
}

std::string Pages::status() const {
  JsonWriter out;
  out.begin_object().field("revision", state_.revision()).field("config", state_.config_dir());
  out.key("refused").begin_list();
  for (const std::string& path : state_.refused_files()) out.text(path);
  out.end_list().key("errors");
  put_errors(out, state_.errors());
  out.key("proxies").begin_list();
  for (const ProxyStatus& proxy : ads_.proxies()) put_proxy(out, proxy);
  out.end_list().end_object();
  return out.take();
}

std::string Pages::revisions() const {
  JsonWriter out;
  out.begin_object().key("revisions").begin_list();
  for (auto it = state_.revisions().rbegin(); it != state_.revisions().rend(); ++it) {
    out.begin_object().field("number", it->number).field("time", format_rfc3339_ms(it->wall_us));
    out.field("author", it->author).field("note", it->note).end_object();
  }
  out.end_list().end_object();
  return out.take();
}

rpc::HttpResponse Pages::handle(const rpc::HttpRequest& request) {
  constexpr const char* kJson = "application/json";
  if (request.method != "GET" && request.method != "HEAD") return {.status = 405, .body = "only GET is answered\n"};
  if (request.path == "/ready") return {.body = ready()};
  if (request.path == "/status") return {.content_type = kJson, .body = status()};
  if (request.path == "/revisions") return {.content_type = kJson, .body = revisions()};
  return {.status = 404, .body = "there are /ready, /status and /revisions\n"};
}

}  // namespace pillion::xds::control
