#include "xds/api/validate.h"

#include <doctest/doctest.h>
#include <envoy/config/bootstrap/v3/bootstrap.pb.h>
#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h>
#include <google/protobuf/descriptor.h>
#include <validate/validate.pb.h>

#include <set>

#include "xds/api/any.h"
#include "xds/api/yaml.h"

namespace pillion {

using envoy::config::bootstrap::v3::Bootstrap;
using envoy::config::cluster::v3::Cluster;
using envoy::config::route::v3::RouteConfiguration;
using envoy::config::route::v3::VirtualHost;

namespace {

template <class T>
std::string violations(const char* text, size_t max = 10) {
  T message;
  const auto lines = xds::load_text(text, "f.yaml", message);
  REQUIRE_MESSAGE(lines.has_value(), (lines ? "" : lines.error().front().to_string()));
  std::string out;
  for (const ConfigError& error : xds::validate(message, "", max)) {
    out += (out.empty() ? "" : " | ") + lines->place(error).to_string();
  }
  return out;
}

}  // namespace

TEST_CASE("validate: each kind of constraint is told with its place") {
  struct Case {
    const char* text;
    const char* want;
  };
  static constexpr Case kClusters[] = {
      {"name: a", ""},
      {"lb_policy: RANDOM", "f.yaml:1: name: must not be empty"},
      {"name: a\nconnect_timeout: 0s", "f.yaml:2: connect_timeout: must be more than 0s"},
      {"name: a\nconnect_timeout: -0.5s", "f.yaml:2: connect_timeout: must be more than 0s"},
      {"name: a\ncleanup_interval: 5s\ncommon_lb_config: {update_merge_window: -1s}",
       "f.yaml:3: common_lb_config.update_merge_window: must not be negative"},
      {"name: a\ncleanup_interval: {seconds: 1, nanos: 1000000000}", "f.yaml:2: cleanup_interval: is not a duration"},
      {"name: a\nlb_policy: 77", "f.yaml:2: lb_policy: 77 is not a value of envoy.config.cluster.v3.Cluster.LbPolicy"},
      {"name: a\noutlier_detection:\n  max_ejection_percent: 101",
       "f.yaml:3: outlier_detection.max_ejection_percent: must be at most 100"},
      {"name: a\nhealth_checks:\n- {timeout: 1s, interval: 1s, unhealthy_threshold: 1}",
       "f.yaml:3: health_checks[0].healthy_threshold: must be set | f.yaml:3: health_checks[0]: one of "
       "http_health_check, tcp_health_check, grpc_health_check, custom_health_check must be set"},
      {"name: a\nload_assignment: {cluster_name: a, endpoints: [{lb_endpoints: [{load_balancing_weight: 0}]}]}",
       "f.yaml:2: load_assignment.endpoints[0].lb_endpoints[0].load_balancing_weight: must be at least 1"},
  };
  for (const Case& c : kClusters) {
    CAPTURE(c.text);
    CHECK(violations<Cluster>(c.text) == c.want);
  }
  static constexpr Case kHosts[] = {
      {"name: a\ndomains: [x]", ""},
      {"name: a", "f.yaml:1: domains: must not be empty"},
      {"name: a\ndomains: [\"a\\nb\"]", "f.yaml:2: domains[0]: must not hold line breaks or NUL"},
      {"name: a\ndomains: [x]\nrequest_headers_to_remove:\n- \"\"",
       "f.yaml:4: request_headers_to_remove[0]: must not be empty"},
      {"name: a\ndomains: [x]\nrequest_headers_to_remove:\n- ok\n- \"a\\rb\"",
       "f.yaml:5: request_headers_to_remove[1]: must not hold line breaks or NUL"},
      {"name: a\ndomains: [x]\nroutes:\n- match: {prefix: /}",
       "f.yaml:4: routes[0]: one of route, redirect, direct_response, filter_action, non_forwarding_action must be "
       "set"},
      {"name: a\ndomains: [x]\nroutes:\n- redirect: {}", "f.yaml:4: routes[0].match: must be set"},
      {"name: a\ndomains: [x]\nroutes:\n- match: {path_separated_prefix: \"/a/\"}\n  redirect: {}",
       "f.yaml:4: routes[0].match.path_separated_prefix: must match ^[^?#]+[^?#/]$"},
      {"name: a\ndomains: [x]\nroutes:\n- match: {prefix: /}\n  direct_response: {status: 199}",
       "f.yaml:5: routes[0].direct_response.status: must be at least 200 and less than 600"},
  };
  for (const Case& c : kHosts) {
    CAPTURE(c.text);
    CHECK(violations<VirtualHost>(c.text) == c.want);
  }
}

TEST_CASE("validate: goes into messages that an Any holds") {
  static constexpr const char* kListener = R"(static_resources:
  listeners:
  - name: a
    address: {socket_address: {address: x, port_value: 1}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: x
          rds: {config_source: {ads: {}}}
          upgrade_configs:
          - filters: [{name: ""}]
)";
  CHECK(
      violations<Bootstrap>(kListener) ==
      "f.yaml:13: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.upgrade_configs[0].filters[0]"
      ".name: must not be empty");
}

TEST_CASE("validate: goes into a TypedStruct, and reads it before") {
  static constexpr const char* kFilter = R"(
name: x
typed_config:
  "@type": type.googleapis.com/xds.type.v3.TypedStruct
  type_url: type.googleapis.com/envoy.config.cluster.v3.Cluster
  value:
    connect_timeout: 0s
)";
  using envoy::config::core::v3::TypedExtensionConfig;
  CHECK(violations<TypedExtensionConfig>(kFilter) ==
        "f.yaml:6: typed_config.value.name: must not be empty | f.yaml:7: typed_config.value.connect_timeout: must be "
        "more than 0s");
  const std::string unknown = std::string(kFilter) + "    nme: x\n";
  CHECK(violations<TypedExtensionConfig>(unknown.c_str()).find("did you mean \"name\"?") != std::string::npos);
}

TEST_CASE("validate: stops at the number of errors that is asked for, and at its depth") {
  CHECK(violations<VirtualHost>("{}", 1) == "f.yaml:1: name: must not be empty");
  CHECK(violations<VirtualHost>("{}", 0) == "");
  Cluster cluster;
  google::protobuf::Any any = xds::pack(cluster);
  for (int i = 0; i < 150; ++i) {
    envoy::config::core::v3::TypedExtensionConfig config;
    config.set_name("x");
    *config.mutable_typed_config() = any;
    any = xds::pack(config);
  }
  envoy::config::core::v3::TypedExtensionConfig config;
  config.set_name("x");
  *config.mutable_typed_config() = any;
  const auto errors = xds::validate(config, "", 5);
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].reason == "nested deeper than 100 levels");
}

// The proof that rules.h implements what the API declares.
namespace {

void collect(const google::protobuf::Message& rules, std::set<std::string>& used) {
  std::vector<const google::protobuf::FieldDescriptor*> set;
  rules.GetReflection()->ListFields(rules, &set);
  for (const auto* field : set) {
    const bool nested =
        field->message_type() != nullptr && field->message_type()->file()->name() == "validate/validate.proto";
    if (!nested) {
      used.insert(rules.GetDescriptor()->name() + "." + field->name());
    } else {
      collect(rules.GetReflection()->GetMessage(rules, field), used);
    }
  }
}

void collect(const google::protobuf::Descriptor& type, std::set<std::string>& used) {
  for (int i = 0; i < type.field_count(); ++i) {
    const auto& options = type.field(i)->options();
    if (options.HasExtension(validate::rules)) collect(options.GetExtension(validate::rules), used);
  }
  for (int i = 0; i < type.nested_type_count(); ++i) collect(*type.nested_type(i), used);
}

void collect_files(const google::protobuf::FileDescriptor& file, std::set<const void*>& seen,
                   std::set<std::string>& used) {
  if (!seen.insert(&file).second) return;
  for (int i = 0; i < file.message_type_count(); ++i) collect(*file.message_type(i), used);
  for (int i = 0; i < file.dependency_count(); ++i) collect_files(*file.dependency(i), seen, used);
}

}  // namespace

TEST_CASE("validate: every rule that the API declares is implemented") {
  static const std::set<std::string> kNumbers = {"const", "lt", "lte", "gt", "gte", "in", "not_in", "ignore_empty"};
  static const std::set<std::string> kOthers = {"BoolRules.const",
                                                "StringRules.const",
                                                "StringRules.len",
                                                "StringRules.min_len",
                                                "StringRules.max_len",
                                                "StringRules.len_bytes",
                                                "StringRules.min_bytes",
                                                "StringRules.max_bytes",
                                                "StringRules.pattern",
                                                "StringRules.prefix",
                                                "StringRules.suffix",
                                                "StringRules.contains",
                                                "StringRules.not_contains",
                                                "StringRules.in",
                                                "StringRules.not_in",
                                                "StringRules.well_known_regex",
                                                "StringRules.strict",
                                                "StringRules.ignore_empty",
                                                "BytesRules.const",
                                                "BytesRules.len",
                                                "BytesRules.min_len",
                                                "BytesRules.max_len",
                                                "BytesRules.prefix",
                                                "BytesRules.suffix",
                                                "BytesRules.contains",
                                                "BytesRules.pattern",
                                                "BytesRules.in",
                                                "BytesRules.not_in",
                                                "BytesRules.ignore_empty",
                                                "EnumRules.const",
                                                "EnumRules.defined_only",
                                                "EnumRules.in",
                                                "EnumRules.not_in",
                                                "MessageRules.skip",
                                                "MessageRules.required",
                                                "RepeatedRules.min_items",
                                                "RepeatedRules.max_items",
                                                "RepeatedRules.unique",
                                                "RepeatedRules.ignore_empty",
                                                "MapRules.min_pairs",
                                                "MapRules.max_pairs",
                                                "MapRules.ignore_empty",
                                                "AnyRules.required",
                                                "AnyRules.in",
                                                "AnyRules.not_in",
                                                "DurationRules.required",
                                                "TimestampRules.required"};
  std::set<std::string> used;
  std::set<const void*> seen;
  // Everything hangs on these: the bootstrap for the configuration, and each root for itself below.
  for (const char* type :
       {"envoy.config.bootstrap.v3.Bootstrap", "envoy.service.discovery.v3.DiscoveryRequest",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "envoy.extensions.filters.http.fault.v3.HTTPFault",
        "envoy.config.rbac.v3.RBAC", "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "envoy.extensions.access_loggers.file.v3.FileAccessLog"}) {
    CAPTURE(type);
    const auto* found = google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(type);
    REQUIRE(found != nullptr);
    collect_files(*found->file(), seen, used);
  }
  CHECK(used.size() > 30);
  for (const std::string& rule : used) {
    CAPTURE(rule);
    const size_t dot = rule.find('.');
    const bool is_number = rule.find("32Rules") != std::string::npos || rule.find("64Rules") != std::string::npos ||
                           rule.starts_with("Float") || rule.starts_with("Double") || rule.starts_with("Duration");
    CHECK((kOthers.contains(rule) || (is_number && kNumbers.contains(rule.substr(dot + 1)))));
  }
}

}  // namespace pillion
