#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/tls.pb.h>

#include "tests/unit/xds_translate/support.h"

namespace pillion::xds {

using namespace testing;
using Cluster = envoy::config::cluster::v3::Cluster;
using Listener = envoy::config::listener::v3::Listener;
using Secret = envoy::extensions::transport_sockets::tls::v3::Secret;

namespace {

std::string upstream(const std::string& fields) {
  return "{name: a, transport_socket: {name: t, typed_config: " + typed("transport_sockets.tls.v3.UpstreamTlsContext") +
         fields + "}}}";
}
std::string downstream(const std::string& fields) {
  return "{name: l, address: {socket_address: {address: 127.0.0.1, port_value: 1}}, filter_chains: [{filters: [{name: "
         "t, "
         "typed_config: " +
         typed("filters.network.tcp_proxy.v3.TcpProxy") +
         "stat_prefix: t, cluster: a}}], transport_socket: {name: t, typed_config: " +
         typed("transport_sockets.tls.v3.DownstreamTlsContext") + fields + "}}}]}";
}

}  // namespace

TEST_CASE("tls: an upstream context with inline material") {
  const auto cluster = translate_cluster(read<Cluster>(upstream(
      "sni: s.test, common_tls_context: {alpn_protocols: [h2], tls_params: {tls_minimum_protocol_version: TLSv1_3, "
      "cipher_suites: [\"[A|B]\", C], ecdh_curves: [X25519]}, tls_certificates: [{certificate_chain: {inline_string: "
      "CHAIN}, private_key: {inline_bytes: S0VZ}}], validation_context: {trusted_ca: {inline_string: CA}, "
      "match_typed_subject_alt_names: [{san_type: URI, matcher: {prefix: \"spiffe://mesh/\"}}], "
      "verify_certificate_hash: [\"" +
      std::string(62, 'A') + ":BC\"], trust_chain_verification: ACCEPT_UNTRUSTED}}")));
  REQUIRE_MESSAGE(cluster.has_value(), error_of(cluster));
  const config::TlsContext& tls = *(*cluster)->tls;
  CHECK(tls.sni == "s.test");
  CHECK(tls.alpn == std::vector<std::string>{"h2"});
  CHECK(tls.version_min == 0x0304);
  CHECK(tls.version_max == 0x0304);
  CHECK(tls.ciphers == "A:B:C");
  CHECK(tls.curves == std::vector<std::string>{"X25519"});
  REQUIRE(tls.certificates.size() == 1);
  CHECK(tls.certificates[0].material->cert_chain == "CHAIN");
  CHECK(tls.certificates[0].material->private_key == "KEY");
  CHECK(tls.has_validation);
  CHECK(tls.validation.trust.material->trust_bundle == "CA");
  CHECK(tls.validation.sans.at(0).type == config::SanMatcher::Type::uri);
  CHECK(tls.validation.sans.at(0).value.matches("spiffe://mesh/x"));
  CHECK(tls.validation.certificate_hashes.at(0) == std::string(62, 'a') + "bc");
  CHECK(!tls.validation.trust_chain_verification);
}

TEST_CASE("tls: secrets by name, by ADS, by a service of their own and from a file") {
  const auto l = translate_listener(read<Listener>(downstream(
      "require_client_certificate: true, common_tls_context: {tls_certificate_sds_secret_configs: [{name: own}, {name: "
      "ads, sds_config: {ads: {}}}, {name: file, sds_config: {path_config_source: {path: /s.yaml, watched_directory: "
      "{path: /d}}, "
      "initial_fetch_timeout: 0s}}, {name: api, "
      "sds_config: {api_config_source: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: sds-grpc}}]}}}], "
      "combined_validation_context: {default_validation_context: {match_typed_subject_alt_names: [{san_type: DNS, "
      "matcher: {exact: a}}]}, validation_context_sds_secret_config: {name: roots}}}")));
  REQUIRE_MESSAGE(l.has_value(), error_of(l));
  const config::TlsContext& tls = *(*l)->chains.at(0).tls;
  CHECK(tls.require_client_certificate);
  REQUIRE(tls.certificates.size() == 4);
  CHECK(tls.certificates[0].name == "own");
  CHECK(!tls.certificates[0].from_sds);
  CHECK(tls.certificates[1].from_sds);
  CHECK(tls.certificates[1].sds_cluster.empty());
  CHECK(tls.certificates[1].fetch_timeout == Duration(15'000'000));
  CHECK(tls.certificates[2].sds_path == "/s.yaml");
  CHECK(tls.certificates[2].sds_watched_directory == "/d");
  CHECK(tls.certificates[2].key() == "/s.yaml#file");
  CHECK(tls.certificates[1].key() == "ads");
  CHECK(tls.certificates[2].fetch_timeout == Duration::zero());
  CHECK(tls.certificates[3].sds_cluster == "sds-grpc");
  CHECK(tls.validation.trust.name == "roots");
  CHECK(tls.validation.sans.size() == 1);
  CHECK(tls.has_validation);
}

TEST_CASE("tls: what cannot be honoured is refused with its field, and without its value") {
  const std::string common = "common_tls_context.";
  const std::pair<std::string, std::string> cases[] = {
      {"common_tls_context: {validation_context: {match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: "
       "a}}]}}",
       common + "validation_context.trusted_ca: must be set"},
      {"common_tls_context: {tls_certificates: [{certificate_chain: {filename: /nonexistent.crt}, private_key: "
       "{inline_string: SECRET}}]}",
       common + "tls_certificates[0].certificate_chain.filename: /nonexistent.crt cannot be opened"},
      {"common_tls_context: {tls_certificates: [{certificate_chain: {inline_string: SECRET}, private_key: {filename: "
       "/nonexistent.key}}]}",
       common + "tls_certificates[0].private_key.filename: /nonexistent.key cannot be opened"},
      {"common_tls_context: {tls_certificates: [{certificate_chain: {inline_string: SECRET}}]}",
       common + "tls_certificates[0].private_key: must be set"},
      {"common_tls_context: {tls_certificates: [{certificate_chain: {inline_string: SECRET}, private_key: "
       "{inline_string: SECRET}, watched_directory: {path: /d}}]}",
       common + "tls_certificates[0].watched_directory: is not supported"},
      {"common_tls_context: {validation_context: {crl: {inline_string: SECRET}}}",
       common + "validation_context.crl: is not supported"},
      {"common_tls_context: {validation_context: {verify_certificate_hash: [\"" + std::string(64, 'g') + "\"]}}",
       common + "validation_context.verify_certificate_hash[0]: must be the 64"},
      {"common_tls_context: {custom_handshaker: {name: x, typed_config: {\"@type\": "
       "type.googleapis.com/google.protobuf.Empty}}}",
       common + "custom_handshaker: is not supported"},
  };
  for (const auto& [fields, want] : cases) {
    CAPTURE(fields);
    const std::string error = error_of(translate_cluster(read<Cluster>(upstream(fields))));
    CAPTURE(error);
    CHECK(error.starts_with("transport_socket.typed_config." + want));
    CHECK(!error.contains("SECRET"));
  }
  CHECK(error_of(translate_listener(read<Listener>(downstream("common_tls_context: {}"))))
            .ends_with("common_tls_context: a server needs a certificate"));
}

TEST_CASE("tls: secrets become material") {
  const auto identity =
      translate_secret(read<Secret>("{name: default, tls_certificate: {certificate_chain: {inline_string: CHAIN}, "
                                    "private_key: {inline_string: KEY}}}"));
  REQUIRE(identity);
  CHECK((*identity)->cert_chain == "CHAIN");
  CHECK((*identity)->private_key == "KEY");
  const auto roots = translate_secret(read<Secret>("{name: r, validation_context: {trusted_ca: {inline_string: CA}}}"));
  REQUIRE(roots);
  CHECK((*roots)->trust_bundle == "CA");
  CHECK(error_of(translate_secret(read<Secret>("{name: g, generic_secret: {secret: {inline_string: x}}}"))) ==
        "generic_secret: is not supported by Pillion");
}

}  // namespace pillion::xds
