#include "xds/api/yaml.h"

#include <doctest/doctest.h>
#include <envoy/config/bootstrap/v3/bootstrap.pb.h>
#include <envoy/config/core/v3/base.pb.h>
#include <envoy/config/route/v3/route_components.pb.h>
#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/common.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "xds/api/any.h"

namespace pillion {

using envoy::config::bootstrap::v3::Bootstrap;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;

namespace {

std::string error_of(std::string_view text, google::protobuf::Message& out, std::string_view name = "f.yaml") {
  const auto loaded = xds::load_text(text, name, out);
  return loaded ? "" : loaded.error().front().to_string();
}

constexpr std::string_view kBootstrap = R"(# a comment
node: {id: n1, cluster: shop}
admin:
  address:
    socket_address: {address: 127.0.0.1, port_value: 9901}
static_resources:
  listeners:
  - name: in
    address: {socketAddress: {address: "::", portValue: 0x50}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          stream_idle_timeout: 1.5s
          codecType: http2
          route_config:
            virtual_hosts:
            - name: all
              domains: "*"
              routes:
              - match: {prefix: /}
                route: {cluster: web, timeout: 0s}
  clusters:
  - name: web
    connect_timeout: 0.25s
    per_connection_buffer_limit_bytes: 32768
    metadata:
      filter_metadata:
        envoy.lb: {canary: true, weight: 1.5, big: "7", none: ~, tags: [a, 2]}
)";

}  // namespace

TEST_CASE("yaml: a bootstrap is read with nested Any, wrappers, durations and metadata") {
  Bootstrap bootstrap;
  REQUIRE(error_of(kBootstrap, bootstrap) == "");
  CHECK(bootstrap.node().id() == "n1");
  const auto& listener = bootstrap.static_resources().listeners(0);
  CHECK(listener.address().socket_address().address() == "::");
  CHECK(listener.address().socket_address().port_value() == 80);
  const auto hcm = xds::unpack<HttpConnectionManager>(listener.filter_chains(0).filters(0).typed_config());
  REQUIRE(hcm.has_value());
  CHECK(hcm->stream_idle_timeout().nanos() == 500'000'000);
  CHECK(hcm->codec_type() == HttpConnectionManager::HTTP2);
  CHECK(hcm->route_config().virtual_hosts(0).domains(0) == "*");
  CHECK(hcm->route_config().virtual_hosts(0).routes(0).route().has_timeout());
  const auto& cluster = bootstrap.static_resources().clusters(0);
  CHECK(cluster.per_connection_buffer_limit_bytes().value() == 32768);
  const auto& lb = cluster.metadata().filter_metadata().at("envoy.lb").fields();
  CHECK(lb.at("canary").bool_value());
  CHECK(lb.at("weight").number_value() == 1.5);
  CHECK(lb.at("big").string_value() == "7");
  CHECK(lb.at("none").kind_case() == google::protobuf::Value::kNullValue);
  CHECK(lb.at("tags").list_value().values(1).number_value() == 2);
}

TEST_CASE("yaml: fields find their lines again, and missing ones that of their parent") {
  Bootstrap bootstrap;
  const auto lines = xds::load_text(kBootstrap, "f.yaml", bootstrap);
  REQUIRE(lines.has_value());
  struct Case {
    const char* path;
    int line;
  };
  static constexpr Case kCases[] = {
      {"", 2},
      {"node.id", 2},
      {"admin.address.socket_address.port_value", 5},
      {"static_resources.listeners[0]", 8},
      {"static_resources.listeners[0].address.socket_address.port_value", 9},
      {"static_resources.listeners[0].filter_chains[0].filters[0].typed_config.stat_prefix", 15},
      {"static_resources.listeners[0].filter_chains[0].filters[0].typed_config.codec_type", 17},
      {"static_resources.listeners[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].domains["
       "0]",
       21},
      {"static_resources.clusters[0].outlier_detection.interval", 26},
      {"static_resources.clusters[0].metadata.filter_metadata[\"envoy.lb\"].canary", 31},
      {"static_resources.clusters[9].name", 25},
      {"nothing.like.it", 2},
      {"static_resources.[[[", 6},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.path);
    CHECK(lines->line_of(c.path) == c.line);
  }
  CHECK(lines->place({"", 0, "admin.address", "x"}).to_string() == "f.yaml:4: admin.address: x");
  CHECK(xds::LineIndex().line_of("a") == 0);
}

TEST_CASE("yaml: errors name file, line, path and a way out") {
  struct Case {
    const char* name;
    const char* text;
    const char* error;
  };
  static constexpr Case kCases[] = {
      {"unknown field", "node:\n  id: a\n  clustr: b",
       "f.yaml:3: node: envoy.config.core.v3.Node has no field \"clustr\"; did you mean \"cluster\"?"},
      {"unknown field of a small type", "node:\n  locality: {xyzzy: b}",
       "f.yaml:2: node.locality: envoy.config.core.v3.Locality has no field \"xyzzy\"; it has region, zone, sub_zone"},
      {"unknown in an item", "static_resources:\n  clusters:\n  - name: a\n  - name: b\n    lbpolicies: RANDOM",
       "f.yaml:5: static_resources.clusters[1]: envoy.config.cluster.v3.Cluster has no field \"lbpolicies\"; did you "
       "mean \"lb_policy\"?"},
      {"number for text", "node:\n  id: 5", "f.yaml:2: node.id: expected a text; write it in quotes: \"5\""},
      {"boolean for text", "node:\n  id: yes", "f.yaml:2: node.id: expected a text; write it in quotes: \"yes\""},
      {"list for text", "node:\n  id: [a]", "f.yaml:2: node.id: expected a text, got a list"},
      {"text for message", "node: hello", "f.yaml:1: node: expected a map of fields, got a plain value"},
      {"port out of range", "admin:\n  address:\n    socket_address:\n      port_value: 4294967296",
       "f.yaml:4: admin.address.socket_address.port_value: expected a whole number from 0 to 4294967295, got "
       "\"4294967296\""},
      {"negative", "admin: {address: {socket_address: {port_value: -1}}}",
       "f.yaml:1: admin.address.socket_address.port_value: expected a whole number from 0 to 4294967295, got \"-1\""},
      {"duration", "stats_flush_interval: 5",
       "f.yaml:1: stats_flush_interval: \"5\" is not a duration: write seconds, as in \"5s\" or \"0.25s\""},
      {"enum", "static_resources: {clusters: [{lb_policy: RONDOM}]}",
       "f.yaml:1: static_resources.clusters[0].lb_policy: expected a name of envoy.config.cluster.v3.Cluster.LbPolicy, "
       "got \"RONDOM\"; did you mean RANDOM?"},
      {"oneof", "admin:\n  address:\n    socket_address: {address: a}\n    pipe: {path: /x}",
       "f.yaml:4: admin.address.pipe: cannot stand beside socket_address: only one of the two is possible"},
      {"both spellings", "stats_flush_interval: 5s\nstatsFlushInterval: 6s",
       "f.yaml:2: stats_flush_interval: given twice, as stats_flush_interval and as statsFlushInterval"},
      {"same key", "node: {id: a}\nadmin: {}\nnode: {id: b}", "f.yaml:3: \"node\" is already given on line 1"},
      {"empty item", "static_resources:\n  clusters:\n  - name: a\n  -",
       "f.yaml:4: static_resources.clusters[1]: this item is empty"},
      {"unknown type", "bootstrap_extensions:\n- typed_config:\n    \"@type\": type.googleapis.com/foo.Bar",
       "f.yaml:3: bootstrap_extensions[0].typed_config.@type: \"type.googleapis.com/foo.Bar\" is not a type that is "
       "known here"},
      {"type without a host", "bootstrap_extensions:\n- typed_config:\n    \"@type\": google.rpc.Status",
       "f.yaml:3: bootstrap_extensions[0].typed_config.@type: \"google.rpc.Status\" is not a type that is known here; "
       "did you mean \"type.googleapis.com/google.rpc.Status\"?"},
      {"no type", "bootstrap_extensions:\n- typed_config:\n    a: b",
       "f.yaml:3: bootstrap_extensions[0].typed_config: \"@type\" is missing: it names the message that this is"},
      {"field in Any",
       "bootstrap_extensions:\n- typed_config:\n    \"@type\": type.googleapis.com/google.rpc.Status\n"
       "    cod: 1",
       "f.yaml:4: bootstrap_extensions[0].typed_config: google.rpc.Status has no field \"cod\"; did you mean "
       "\"code\"?"},
      {"not a map", "- a\n- b", "f.yaml:1: expected a map of fields, got a list"},
      {"two documents", "node: {id: a}\n---\nnode: {id: b}",
       "f.yaml:3: a second document begins here; one is expected"},
      {"broken YAML", "node:\n  id: [a\nadmin: {", "f.yaml:3: not YAML: end of sequence flow not found"},
      {"not UTF-8", "node:\n  id: \"\xff\"", "f.yaml:2: not UTF-8"},
      {"alias of itself", "node: &a {id: x, metadata: *a}", "f.yaml:1: the alias names a value that contains it"},
      {"merge keys are no keys", "node:\n  <<: {id: a}",
       "f.yaml:2: node: envoy.config.core.v3.Node has no field \"<<\""},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    Bootstrap bootstrap;
    CHECK(error_of(c.text, bootstrap) == c.error);
  }
}

TEST_CASE("yaml: what Envoy reads is read") {
  static constexpr const char* kCases[] = {"generate_request_id: yes",
                                           "generate_request_id: \"true\"",
                                           "generate_request_id: {value: true}",
                                           "generate_request_id: ~",
                                           "stat_prefix: 1.5",
                                           "stat_prefix: 99999999999",
                                           "stat_prefix: !!str 5",
                                           "codec_type: auto",
                                           "codec_type: 1",
                                           "codec_type: \"1\"",
                                           "codecType: HTTP1",
                                           "access_log:",
                                           "!ignore foo: &x {a: b}",
                                           "stream_idle_timeout: 5.5s",
                                           "stream_idle_timeout: {seconds: 5}",
                                           "max_request_headers_kb: 2e1",
                                           "max_request_headers_kb: 0x14",
                                           "max_request_headers_kb: 024",
                                           "max_request_headers_kb: \"20\"",
                                           "max_request_headers_kb: 20.0",
                                           "access_log: {name: a}",
                                           "stat_prefix: |\n  a\n  b\n",
                                           "",
                                           "---\n...\n",
                                           "http_filters: [{name: x, typed_config: {}}]"};
  for (const char* text : kCases) {
    CAPTURE(text);
    HttpConnectionManager hcm;
    CHECK(error_of(text, hcm) == "");
    if (hcm.has_max_request_headers_kb()) CHECK(hcm.max_request_headers_kb().value() == 20);
  }
  static constexpr const char* kRefused[] = {
      "generate_request_id: 1",     "stat_prefix: yes",
      "stream_idle_timeout: .5s",   "stream_idle_timeout: 5.s",
      "stream_idle_timeout: +5s",   "stream_idle_timeout: 1.0000000001s",
      "codec_type: HTTP9",          "max_request_headers_kb: 1.5",
      "max_request_headers_kb: 08", "common_http_protocol_options: [{idle_timeout: 5s}]"};
  for (const char* text : kRefused) {
    CAPTURE(text);
    HttpConnectionManager hcm;
    CHECK(error_of(text, hcm) != "");
  }
}

TEST_CASE("yaml: every kind of scalar keeps its value at the edges of its range") {
  google::protobuf::Int64Value i64;
  CHECK(error_of("value: \"-9223372036854775808\"", i64) == "");
  CHECK(i64.value() == INT64_MIN);
  CHECK(error_of("value: -9223372036854775809", i64) != "");
  google::protobuf::UInt64Value u64;
  CHECK(error_of("value: 18446744073709551615", u64) == "");
  CHECK(u64.value() == UINT64_MAX);
  google::protobuf::Int32Value i32;
  CHECK(error_of("value: -2147483648", i32) == "");
  CHECK(i32.value() == INT32_MIN);
  CHECK(error_of("value: 2147483648", i32) != "");
  google::protobuf::DoubleValue number;
  CHECK(error_of("value: -1.5e-3", number) == "");
  CHECK(number.value() == -1.5e-3);
  CHECK(error_of("value: NaN", number) == "");
  CHECK(std::isnan(number.value()));
  CHECK(error_of("value: nan", number) != "");
  google::protobuf::FloatValue small;
  CHECK(error_of("value: 1e39", small) != "");
  google::protobuf::BytesValue bytes;
  CHECK(error_of("value: aGk", bytes) == "");
  CHECK(bytes.value() == "hi");
  CHECK(error_of("value: _-8=", bytes) == "");
  CHECK(bytes.value() == "\xff\xef");
}

TEST_CASE("yaml: secrets are not repeated in errors") {
  envoy::extensions::transport_sockets::tls::v3::TlsCertificate certificate;
  for (const char* text : {"private_key: {inline_bytes: \"s3cr3t!\"}", "private_key: s3cr3t", "password: [s3cr3t]",
                           "private_key: {inline_string: {s3cr3t: a}, filename: b, x: s3cr3t}"}) {
    CAPTURE(text);
    const std::string error = error_of(text, certificate);
    CHECK(error != "");
    if (std::string_view(text).find("{s3cr3t") == std::string_view::npos) {
      CHECK(error.find("s3cr3t") == std::string::npos);
    }
  }
}

TEST_CASE("yaml: Any holds well-known types, also inside each other") {
  envoy::config::core::v3::TypedExtensionConfig config;
  REQUIRE(error_of("typed_config: {\"@type\": type.googleapis.com/google.protobuf.Duration, value: 3s}", config) == "");
  google::protobuf::Duration duration;
  REQUIRE(config.typed_config().UnpackTo(&duration));
  CHECK(duration.seconds() == 3);
  REQUIRE(error_of("typed_config: {\"@type\": type.googleapis.com/google.protobuf.Any, value: {\"@type\": "
                   "type.googleapis.com/google.protobuf.StringValue, value: x}}",
                   config) == "");
  CHECK(error_of("typed_config: {\"@type\": type.googleapis.com/google.protobuf.Duration, value: 3s, more: 1}",
                 config) == "f.yaml:1: typed_config: beside \"@type\" there may only be \"value\"");
  REQUIRE(error_of("typed_config: {\"@type\": type.googleapis.com/google.protobuf.Empty}", config) == "");
  REQUIRE(error_of("typed_config: {\"@type\": type.googleapis.com/google.protobuf.Struct, value: {a: 1}}", config) ==
          "");
}

TEST_CASE("yaml: aliases share what they name, and a bomb of them is refused") {
  Bootstrap bootstrap;
  REQUIRE(error_of("static_resources:\n  clusters:\n  - &a {name: x, connect_timeout: 1s}\n  - *a", bootstrap) == "");
  CHECK(bootstrap.static_resources().clusters(1).connect_timeout().seconds() == 1);

  std::string bomb = "x0: &x0 [a]\n";
  for (int i = 1; i < 30; ++i) {
    const std::string last = "*x" + std::to_string(i - 1);
    bomb += "x" + std::to_string(i) + ": &x" + std::to_string(i) + " [" + last + ", " + last + ", " + last + "]\n";
  }
  envoy::config::core::v3::Metadata metadata;
  const std::string error = error_of("filter_metadata:\n  a: {b: {" + std::string("}}\n"), metadata);
  CHECK(error == "");
  google::protobuf::Struct all;
  CHECK(error_of(bomb, all).find("aliases make more than") != std::string::npos);

  std::string deep = "x0: &x0 {a: b}\n";
  for (int i = 1; i < 200; ++i) {
    deep += "x" + std::to_string(i) + ": &x" + std::to_string(i) + " {a: *x" + std::to_string(i - 1) + "}\n";
  }
  CHECK(error_of(deep, all).find("nested deeper than 100 levels") != std::string::npos);
}

TEST_CASE("yaml: depth and size have limits") {
  google::protobuf::Struct out;
  const std::string open(101, '[');
  CHECK(error_of("a: " + open + std::string(101, ']'), out).find("nested deeper than 100 levels") != std::string::npos);
  CHECK(error_of("{\"a\": " + open, out, "f.json").find("nested deeper than 100 levels") != std::string::npos);
  CHECK(error_of(std::string(100'000, '['), out) != "");
  CHECK(error_of(std::string(xds::kMaxDocumentBytes + 1, ' '), out).find("larger than") != std::string::npos);
}

TEST_CASE("json: is read strictly, with lines") {
  struct Case {
    const char* text;
    const char* error;
  };
  static constexpr Case kCases[] = {
      {"{\n \"a\": [1, -2.5e3, true, null, \"x\\u00e9\\ud83d\\ude00\\n\\/\"]\n}\n", ""},
      {"{}", ""},
      {"{\"a\": 1,}", "f.json:1: not JSON: expected a key in double quotes"},
      {"{\n\"a\": 01}", "f.json:2: not JSON: a number starts with 0"},
      {"{\"a\": 1.}", "f.json:1: not JSON: a number lacks digits"},
      {"{\"a\": yes}", "f.json:1: not JSON: expected a value"},
      {"{\"a\": \"\\x\"}", "f.json:1: not JSON: an unknown escape in a string"},
      {"{\"a\": \"\\ud83d\"}", "f.json:1: not JSON: half of a surrogate pair in a string"},
      {"{\"a\": \"\\u12g4\"}", "f.json:1: not JSON: \\u needs four hexadecimal digits"},
      {"{\"a\": \"b\n\"}", "f.json:1: not JSON: a control character in a string"},
      {"{\"a\": \"b", "f.json:1: not JSON: a string has no end"},
      {"{\"a\":\n\n1", "f.json:3: not JSON: expected ',' or '}'"},
      {"{\"a\": 1} {", "f.json:1: not JSON: there is more after the end of the document"},
      {"{\"a\": 1,\n\"b\": 2,\n\"a\": 3}", "f.json:3: \"a\" is already given on line 1"},
      {"", "f.json:1: not JSON: the document ends too early"},
      {"// no\n{}", "f.json:1: not JSON: expected a value"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.text);
    google::protobuf::Struct out;
    CHECK(error_of(c.text, out, "f.json") == c.error);
  }
  google::protobuf::Struct out;
  REQUIRE(error_of(kCases[0].text, out, "f.json") == "");
  CHECK(out.fields().at("a").list_value().values(4).string_value() == "x\u00e9\U0001F600\n/");
  Bootstrap bootstrap;
  CHECK(error_of("{\"node\":\n {\"id\": \"a\",\n \"metadata\": {\"x\": [1]}, \"bad\": 1}}", bootstrap, "f.json")
            .starts_with("f.json:3: node: "));
}

TEST_CASE("yaml: files are read by name, and one that is not there says so") {
  Bootstrap bootstrap;
  const auto missing = xds::load_file("/nonexistent/x.yaml", bootstrap);
  REQUIRE(!missing);
  CHECK(missing.error().front().to_string() == "/nonexistent/x.yaml: cannot be opened: No such file or directory");
  const auto folder = xds::load_file("/", bootstrap);
  REQUIRE(!folder);
  CHECK(folder.error().front().reason.starts_with("cannot be"));

  const std::string path = std::filesystem::temp_directory_path() / ("pillion_yaml_test_" + std::to_string(getpid()));
  std::ofstream(path) << "---\nkind: A\n---\n# nothing\n---\nkind: B\n";
  const auto documents = xds::load_documents(path);
  std::filesystem::remove(path);
  REQUIRE(documents.has_value());
  REQUIRE(documents->size() == 2);
  const xds::Node* kind = (*documents)[1].root().find("kind");
  REQUIRE(kind != nullptr);
  CHECK(kind->text == "B");
  CHECK(kind->line == 6);
}

TEST_CASE("yaml: an error that quotes a part of a character is still UTF-8") {
  Bootstrap bootstrap;
  const auto loaded = xds::load_text("node: \"\\\xc2\xb5\"\n", "x.yaml", bootstrap);
  REQUIRE(!loaded);
  CHECK(loaded.error().front().to_string() == "x.yaml:1: not YAML: unknown escape character: ");
}

TEST_CASE("yaml: what is wrong in several places is told at once, and the rest is read") {
  Bootstrap bootstrap;
  const auto loaded = xds::load_text(R"(node: {id: [n], clustr: c, cluster: good}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: nine}}}
static_resources:
  clusters:
  - {name: a, connect_timeout: soon}
  - {name: b, metadata: {filter_metadata: {a: 5, b: {}}}}
  - 7
)",
                                     "f.yaml", bootstrap);
  REQUIRE(!loaded.has_value());
  const std::vector<std::pair<int, std::string>> wanted = {
      {1, "node.id"},
      {1, "node"},
      {2, "admin.address.socket_address.port_value"},
      {5, "static_resources.clusters[0].connect_timeout"},
      {6, "static_resources.clusters[1].metadata.filter_metadata[\"a\"]"},
      {7, "static_resources.clusters[2]"},
  };
  REQUIRE(loaded.error().size() == wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    CAPTURE(loaded.error()[i].to_string());
    CHECK(loaded.error()[i].line == wanted[i].first);
    CHECK(loaded.error()[i].path == wanted[i].second);
  }
  CHECK(bootstrap.node().cluster() == "good");
  CHECK(bootstrap.static_resources().clusters(1).name() == "b");
}

TEST_CASE("yaml: the errors that are told have a limit") {
  Bootstrap bootstrap;
  std::string text;
  for (size_t i = 0; i < xds::kMaxReadErrors + 5; ++i) text += "wrong" + std::to_string(i) + ": 1\n";
  const auto loaded = xds::load_text(text, "f.yaml", bootstrap);
  REQUIRE(!loaded.has_value());
  CHECK(loaded.error().size() == xds::kMaxReadErrors);
}

}  // namespace pillion
