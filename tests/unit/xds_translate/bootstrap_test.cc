#include "xds/translate/bootstrap.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/unit/xds_translate/support.h"

namespace pillion::xds {

using namespace testing;

namespace {

const std::string kGood = R"(admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}
static_resources:
  listeners:
  - name: web
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          http_filters: [{name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
          route_config:
            name: r
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: /}
                route:
                  cluster: a
  clusters:
  - name: a
    connect_timeout: 1s
    load_assignment:
      cluster_name: a
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address:
                address: 127.0.0.1
                port_value: 9
)";

std::string replaced(std::string text, const std::string& old, const std::string& fresh) {
  const size_t at = text.find(old);
  REQUIRE(at != std::string::npos);
  return text.replace(at, old.size(), fresh);
}

std::string errors_of(const std::expected<Bootstrap, std::vector<ConfigError>>& result) {
  std::string out;
  if (!result) {
    for (const ConfigError& error : result.error()) out += error.to_string() + "\n";
  }
  return out;
}

Bootstrap good(const std::string& yaml, const BootstrapOverrides& overrides = {}) {
  auto out = parse_bootstrap(yaml, "b.yaml", overrides);
  REQUIRE_MESSAGE(out.has_value(), errors_of(out));
  return std::move(*out);
}

}  // namespace

TEST_CASE("bootstrap: static resources and the admin address") {
  const Bootstrap b = good(kGood);
  REQUIRE(b.admin);
  CHECK(b.admin->address.to_string() == "127.0.0.1:9901");
  CHECK(!b.ads);
  REQUIRE(b.static_resources != nullptr);
  CHECK(config::find(b.static_resources->listeners, "web") != nullptr);
  CHECK(config::find(b.static_resources->clusters, "a") != nullptr);
  CHECK(b.warnings.empty());
}

TEST_CASE("bootstrap: who the proxy is, and where it gets the rest") {
  const std::string yaml =
      "node: {id: me, cluster: c, locality: {zone: z}, metadata: {POD_IP: 10.0.0.1}}\n"
      "stats_config: {use_all_default_tags: true}\nlayered_runtime: {layers: [{name: base, static_layer: "
      "{re2.max_program_size.error_level: 1}}, {name: admin, admin_layer: {}}]}\n"
      "dynamic_resources:\n"
      "  ads_config: {api_type: DELTA_GRPC, transport_api_version: V3, set_node_on_first_message_only: true, "
      "grpc_services: [{envoy_grpc: {cluster_name: xds}, initial_metadata: [{key: k, value: v}]}]}\n"
      "  lds_config: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}\n"
      "  cds_config: {ads: {}}\n"
      "static_resources:\n  clusters: [{name: xds, type: STRICT_DNS, http2_protocol_options: {}}]\n"
      "  secrets: [{name: roots, validation_context: {trusted_ca: {inline_string: CA}}}]\n";
  const Bootstrap b = good(yaml, {.service_node = "other", .service_cluster = ""});
  CHECK(b.node_id == "other");
  CHECK(b.node_cluster == "c");
  CHECK(b.locality.zone == "z");
  CHECK(b.node.contains("other"));
  CHECK(b.node.contains("POD_IP"));
  REQUIRE(b.ads);
  CHECK(b.ads->delta);
  CHECK(b.ads->cluster == "xds");
  CHECK(b.ads->lds);
  CHECK(b.ads->cds);
  CHECK(b.ads->lds_initial_fetch_timeout == 0s);
  CHECK(b.ads->cds_initial_fetch_timeout == 15s);
  CHECK(b.ads->initial_metadata.at(0).first == "k");
  CHECK(b.warnings.size() == 2);
  CHECK(config::find(b.static_resources->secrets, "roots")->trust_bundle == "CA");
}

TEST_CASE("bootstrap: what cannot be honoured is refused with line and field") {
  struct Case {
    const char* old;
    const char* fresh;
    const char* error;
  };
  const Case cases[] = {
      {"                  cluster: a", "                  cluster: b", "b.yaml:21: static_resources.listeners[0]"},
      {"  clusters:\n", "  clusters:\n  - {name: a, connect_timeout: 1s}\n",
       "b.yaml:24: static_resources.clusters[1].name"},
      {"domains: [\"*\"]", "domains: [\"*\", \"*\"]", "b.yaml:17: static_resources"},
      {"address: 127.0.0.1\n                port_value: 9", "address: 300.1.2.3\n                port_value: 9",
       "b.yaml:32: static_resources.clusters[0].load_assignment"},
      {"match: {prefix: /}", "match: {safe_regex: {regex: \"a(b\"}}", "b.yaml:19: "},
      {"          stat_prefix: web\n",
       "          stat_prefix: web\n          access_log: [{name: f, typed_config: {\"@type\": "
       "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /dev/null, log_format: "
       "{text_format_source: {inline_string: '%NOPE%'}}}}]\n",
       "b.yaml:12: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.access_log[0].typed_config."
       "log_format.text_format_source.inline_string: "},
      {"static_resources:\n", "static_resources:\n  secrets: [{name: s, generic_secret: {}}]\n", "b.yaml:3: "},
      {"static_resources:\n",
       "layered_runtime: {layers: [{name: base, static_layer: {upstream.x: 1}}]}\nstatic_resources:\n",
       "b.yaml:2: layered_runtime.layers[0].static_layer[\"upstream.x\"]: is not supported"},
      {"static_resources:\n", "header_prefix: x-other\nstatic_resources:\n",
       "b.yaml:2: header_prefix: is not supported"},
      {"static_resources:\n", "dynamic_resources: {lds_config: {ads: {}}}\nstatic_resources:\n",
       "b.yaml:2: dynamic_resources.ads_config: must be set"},
      {"static_resources:\n",
       "dynamic_resources: {ads_config: {api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: "
       "{cluster_name: none}}]}}\nstatic_resources:\n",
       "b.yaml:2: dynamic_resources.ads_config.grpc_services[0].envoy_grpc.cluster_name: there is no"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.fresh);
    const std::string errors = errors_of(parse_bootstrap(replaced(kGood, c.old, c.fresh), "b.yaml"));
    CAPTURE(errors);
    CHECK(errors.starts_with(c.error));
  }
}

TEST_CASE("bootstrap: several faults are told at once") {
  const std::string text = replaced(replaced(kGood, "                  cluster: a", "                  cluster: b"),
                                    "  - name: a\n", "  - name: a\n    lb_policy: MAGLEV\n");
  const auto result = parse_bootstrap(text, "b.yaml");
  REQUIRE(!result);
  CHECK(result.error().size() == 2);
}

TEST_CASE("bootstrap: a file that is not there is named") {
  CHECK(errors_of(load_bootstrap("/no/such/file.yaml")).contains("/no/such/file.yaml"));
}

// === the files that Envoy and Pillion are compared with ===

namespace {

const std::string kExtensions = "type.googleapis.com/envoy.extensions.";

std::string load_of(const std::string& names) {
  std::string endpoints;
  for (size_t i = 0; i <= static_cast<size_t>(std::count(names.begin(), names.end(), ',')); ++i) {
    endpoints += "{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 9}}}}, ";
  }
  return "{cluster_name: x, endpoints: [{lb_endpoints: [" + endpoints + "]}]}";
}

// The value of ${name} or ${kind:argument} of such a file.
std::string value_of(const std::string& name, const std::string& folder) {
  const auto type = [](const std::string& t) { return "\"@type\": " + kExtensions + t; };
  const auto listed = [&](const std::string& t) { return "{name: x, typed_config: {" + type(t) + "}}"; };
  const std::string options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {" +
                              type("upstreams.http.v3.HttpProtocolOptions") + ", ";
  const std::string address = "{address: {socket_address: {address: 127.0.0.1, port_value: 9}}}";
  if (name == "any" || name == "admin") {
    const std::string any = "{socket_address: {address: 127.0.0.1, port_value: 0}}";
    return name == "any" ? any : "{address: " + any + "}";
  }
  if (name == "log") return "[]";
  if (name == "router" || name.starts_with("filters_")) return "[" + listed("filters.http.router.v3.Router") + "]";
  if (name == "hcm") return type("filters.network.http_connection_manager.v3.HttpConnectionManager");
  if (name == "tcp_proxy") return type("filters.network.tcp_proxy.v3.TcpProxy");
  if (name == "tls_server") return type("transport_sockets.tls.v3.DownstreamTlsContext");
  if (name == "tls_client") return type("transport_sockets.tls.v3.UpstreamTlsContext");
  if (name == "file_log") return type("access_loggers.file.v3.FileAccessLog");
  if (name == "tls_inspector") return listed("filters.listener.tls_inspector.v3.TlsInspector");
  if (name == "http_inspector") return listed("filters.listener.http_inspector.v3.HttpInspector");
  if (name == "previous_hosts") return listed("retry.host.previous_hosts.v3.PreviousHostsPredicate");
  if (name == "http_options") return options;
  if (name == "h2") return "{" + options + "explicit_http_config: {http2_protocol_options: {}}}}";
  if (name == "h1_trailers") {
    return "{" + options + "explicit_http_config: {http_protocol_options: {enable_trailers: true}}}}";
  }
  if (name == "dir") return folder;
  if (name.ends_with("routes")) {
    return "{name: r, virtual_hosts: [{name: all, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: "
           "a}}]}]}";
  }
  if (name == "xfcc_listeners") return "";
  if (name.starts_with("addr:")) return address;
  if (name.starts_with("ep:")) return "{endpoint: " + address + "}";
  if (name.starts_with("port:")) return "9";
  if (name.starts_with("load:")) return load_of(name);
  FAIL("an unknown placeholder: " << name);
  return {};
}

std::string expanded(const std::string& text, const std::string& folder) {
  std::string out;
  size_t at = 0;
  for (size_t begin = text.find("${"); begin != std::string::npos; begin = text.find("${", at)) {
    const size_t end = text.find('}', begin);
    out += text.substr(at, begin - at) + value_of(text.substr(begin + 2, end - begin - 2), folder);
    at = end + 1;
  }
  return out + text.substr(at);
}

std::string content_of(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

// The repository; the compiler may have seen this file by a path that only holds in the build folder.
std::filesystem::path source_folder() {
  const char* source = std::getenv("PILLION_SOURCE_DIR");
  if (source != nullptr) return source;
  const std::filesystem::path here(__FILE__);
  return std::filesystem::exists(here) ? here.parent_path().parent_path().parent_path().parent_path() : ".";
}

// What the files name: contents do not matter here.
struct Folder {
  Folder() : path(std::filesystem::temp_directory_path() / ("pillion-translate-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path);
    for (const char* name : {"server.crt", "server.key", "client.crt", "client.key", "exact.crt", "exact.key", "ca.crt",
                             "foreign.crt", "answer.txt"}) {
      std::ofstream(path / name) << "x";
    }
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

}  // namespace

TEST_CASE("bootstrap: every file that Envoy is compared with is taken as it is") {
  const Folder folder;
  const std::filesystem::path root = source_folder();
  std::vector<std::filesystem::path> files = {root / "perf/compare/bootstrap.yaml"};
  for (const auto& entry : std::filesystem::directory_iterator(root / "tests/integration/parity")) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  CHECK(files.size() > 10);
  for (const auto& file : files) {
    std::string text = expanded(content_of(file), folder.path);
    for (const auto& [name, value] : {std::pair("@origin@", "127.0.0.1"), {"@h1@", "1"}, {"@h2@", "2"}}) {
      for (size_t at = text.find(name); at != std::string::npos; at = text.find(name)) {
        text.replace(at, std::string_view(name).size(), value);
      }
    }
    const auto result = parse_bootstrap(text, file.filename().string());
    CAPTURE(file.filename().string());
    CHECK_MESSAGE(result.has_value(), errors_of(result));
  }
}

}  // namespace pillion::xds
