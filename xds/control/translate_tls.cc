// Transport sockets. Keys and trust bundles never travel over xDS: a Pillion node takes them from its own store by
// name (an SdsSecretConfig without a source), an Envoy from the files that `pillion identity` keeps for it.
#include <envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/tls.pb.h>

#include "xds/control/translate_parts.h"

namespace pillion::xds::control {

namespace {

namespace tls = envoy::extensions::transport_sockets::tls::v3;

constexpr const char* kTlsSocket = "envoy.transport_sockets.tls";
constexpr const char* kGrpcProviderInstance = "default";  // in the gRPC bootstrap's certificate_providers

void add_certificate(const Scope& scope, tls::CommonTlsContext& out) {
  if (scope.node.kind == NodeClass::Kind::grpc) {
    out.mutable_tls_certificate_provider_instance()->set_instance_name(kGrpcProviderInstance);
  } else if (scope.node.tls_files.empty()) {
    out.add_tls_certificate_sds_secret_configs()->set_name(kIdentitySecret);
  } else {
    // Through DIR/current, so that the pair is of one version. Envoy reads them when the context is made; it is made
    // again when its configuration changes or Envoy restarts.
    auto* certificate = out.add_tls_certificates();
    certificate->mutable_certificate_chain()->set_filename(scope.node.tls_files + "/current/cert.pem");
    certificate->mutable_private_key()->set_filename(scope.node.tls_files + "/current/key.pem");
  }
}

void add_san(tls::CertificateValidationContext& out, std::string_view id, bool prefix, bool old_field) {
  auto set = [&](auto& matcher) {
    if (prefix)
      matcher.set_prefix(std::string(id));
    else
      matcher.set_exact(std::string(id));
  };
  if (old_field) {  // the only one that gRPC reads (gRFC A29), though Envoy's API calls it deprecated
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    set(*out.add_match_subject_alt_names());
#pragma GCC diagnostic pop
    return;
  }
  auto* san = out.add_match_typed_subject_alt_names();
  san->set_san_type(tls::SubjectAltNameMatcher::URI);
  set(*san->mutable_matcher());
}

void add_trust(const Scope& scope, const std::vector<std::string>& ids, bool prefix, tls::CommonTlsContext& out) {
  const bool grpc = scope.node.kind == NodeClass::Kind::grpc;
  const bool files = !grpc && !scope.node.tls_files.empty();
  tls::CertificateValidationContext* context = nullptr;
  if (files || grpc) {
    context = out.mutable_validation_context();
    if (grpc)
      context->mutable_ca_certificate_provider_instance()->set_instance_name(kGrpcProviderInstance);
    else
      context->mutable_trusted_ca()->set_filename(scope.node.tls_files + "/current/ca.pem");
  } else {
    auto* combined = out.mutable_combined_validation_context();
    combined->mutable_validation_context_sds_secret_config()->set_name(kTrustSecret);
    context = combined->mutable_default_validation_context();
  }
  for (const std::string& id : ids) add_san(*context, id, prefix, grpc);
}

void only_tls13(tls::CommonTlsContext& out) {
  auto* params = out.mutable_tls_params();
  params->set_tls_minimum_protocol_version(tls::TlsParameters::TLSv1_3);
  params->set_tls_maximum_protocol_version(tls::TlsParameters::TLSv1_3);
}

}  // namespace

core::TransportSocket raw_buffer_socket() {
  core::TransportSocket out;
  out.set_name("envoy.transport_sockets.raw_buffer");
  *out.mutable_typed_config() = pack(envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer());
  return out;
}

core::TransportSocket upstream_tls(const Scope& scope, const std::vector<std::string>& spiffe_ids,
                                   const std::string& sni, const std::vector<std::string>& alpn) {
  tls::UpstreamTlsContext context;
  auto& common = *context.mutable_common_tls_context();
  add_certificate(scope, common);
  add_trust(scope, spiffe_ids, false, common);
  if (scope.node.kind == NodeClass::Kind::sidecar) {  // gRPC refuses what it does not know here (gRFC A29)
    only_tls13(common);
    for (const std::string& name : alpn) common.add_alpn_protocols(name);
    context.set_sni(sni);
  }
  core::TransportSocket out;
  out.set_name(kTlsSocket);
  *out.mutable_typed_config() = pack(context);
  return out;
}

core::TransportSocket downstream_mtls(const Scope& scope, const std::vector<std::string>& alpn) {
  tls::DownstreamTlsContext context;
  context.mutable_require_client_certificate()->set_value(true);
  auto& common = *context.mutable_common_tls_context();
  add_certificate(scope, common);
  add_trust(scope, {"spiffe://" + scope.options.trust_domain + "/"}, true, common);
  only_tls13(common);
  for (const std::string& name : alpn) common.add_alpn_protocols(name);
  core::TransportSocket out;
  out.set_name(kTlsSocket);
  *out.mutable_typed_config() = pack(context);
  return out;
}

}  // namespace pillion::xds::control
