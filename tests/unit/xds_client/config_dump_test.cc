#include <doctest/doctest.h>
#include <envoy/config/bootstrap/v3/bootstrap.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/tls.pb.h>

#include "xds/api/yaml.h"
#include "xds/client/config_dump.h"

namespace pillion::xds::client {
namespace {

constexpr const char* kBootstrap = R"(
static_resources:
  secrets:
  - name: own
    tls_certificate:
      certificate_chain: {inline_string: "PUBLIC-CHAIN"}
      private_key: {inline_string: "PRIVATE-KEY-1"}
      password: {inline_bytes: "UFJJVkFURS1QQVNT"}
  clusters:
  - name: a
    connect_timeout: 3s
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context:
          tls_certificates:
          - certificate_chain: {inline_string: "PUBLIC-CHAIN"}
            private_key: {inline_string: "PRIVATE-KEY-2"}
  - name: b
)";

std::string bootstrap() {
  envoy::config::bootstrap::v3::Bootstrap message;
  auto loaded = load_text(kBootstrap, "bootstrap.yaml", message);
  REQUIRE(loaded);
  return message.SerializeAsString();
}

TEST_CASE("config_dump: shows the bootstrap and its clusters, and no secret, also none inside of Any") {
  const auto dump = config_dump(bootstrap(), 1'700'000'000'000'000, nullptr, {});
  REQUIRE(dump);
  CAPTURE(*dump);
  CHECK(dump->find("envoy.admin.v3.BootstrapConfigDump") != std::string::npos);
  CHECK(dump->find("\"static_clusters\"") != std::string::npos);
  CHECK(dump->find("PUBLIC-CHAIN") != std::string::npos);
  CHECK(dump->find("[redacted]") != std::string::npos);
  for (const char* secret : {"PRIVATE", "UFJJVkFURS1QQVNT"}) {
    CAPTURE(secret);
    CHECK(dump->find(secret) == std::string::npos);
  }
}

TEST_CASE("config_dump: one field, by name, and what is not there is an error in words") {
  const auto one = config_dump(bootstrap(), 0, nullptr, {.resource = "static_clusters", .name_regex = "b"});
  REQUIRE(one);
  CHECK(one->find("\"b\"") != std::string::npos);
  CHECK(one->find("\"a\"") == std::string::npos);
  CHECK(one->find("BootstrapConfigDump") == std::string::npos);
  const auto none = config_dump(bootstrap(), 0, nullptr, {.resource = "nonsense"});
  REQUIRE_FALSE(none);
  CHECK(none.error() == "nonsense not found in config dump");
  CHECK_FALSE(config_dump("", 0, nullptr, {.name_regex = "("}));
}

}  // namespace
}  // namespace pillion::xds::client
