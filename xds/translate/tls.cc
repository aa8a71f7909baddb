// Transport sockets and secrets. No value of a secret ever appears in an error.
#include <envoy/config/core/v3/base.pb.h>
#include <envoy/config/core/v3/config_source.pb.h>
#include <envoy/config/core/v3/grpc_service.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/tls.pb.h>

#include <algorithm>

#include "xds/translate/check_message.h"
#include "xds/translate/matchers.h"
#include "xds/translate/parts.h"
#include "xds/translate/values.h"

namespace pillion::xds {

namespace core = envoy::config::core::v3;
namespace tls = envoy::extensions::transport_sockets::tls::v3;

namespace {

constexpr std::string_view kSockets = "envoy.extensions.transport_sockets.";
constexpr const char* kRawBuffer = "envoy.transport_sockets.raw_buffer";

// === material ===

std::shared_ptr<TlsMaterial> to_certificate(Context& cx, const tls::TlsCertificate& in) {
  auto out = std::make_shared<TlsMaterial>();
  {
    const auto at = cx.field("certificate_chain");
    out->cert_chain = read_data_source(cx, in.certificate_chain());
    out->cert_chain_path = in.certificate_chain().filename();
  }
  const auto at = cx.field("private_key");
  out->private_key = read_data_source(cx, in.private_key());
  return out;
}

std::shared_ptr<TlsMaterial> to_trust(Context& cx, const tls::CertificateValidationContext& in) {
  const auto at = cx.field("trusted_ca");
  auto out = std::make_shared<TlsMaterial>();
  out->trust_bundle = read_data_source(cx, in.trusted_ca());
  out->trust_bundle_path = in.trusted_ca().filename();
  return out;
}

config::SecretRef to_reference(Context& cx, const tls::SdsSecretConfig& in) {
  config::SecretRef out;
  out.name = in.name();
  if (!in.has_sds_config()) return out;
  const auto at = cx.field("sds_config");
  const core::ConfigSource& source = in.sds_config();
  PILLION_SET_DURATION(cx, source, initial_fetch_timeout, out.fetch_timeout);
  if (source.has_ads()) {
    out.from_sds = true;
  } else if (source.has_path_config_source()) {
    out.sds_path = source.path_config_source().path();
    out.sds_watched_directory = source.path_config_source().watched_directory().path();
  } else if (source.has_api_config_source()) {
    const auto in_api = cx.field("api_config_source");
    const auto& api = source.api_config_source();
    out.from_sds = true;
    if (api.grpc_services_size() != 1) return cx.fail_at("grpc_services", "must have exactly one item"), out;
    out.sds_cluster = api.grpc_services(0).envoy_grpc().cluster_name();
    const bool grpc = api.api_type() == core::ApiConfigSource::GRPC;
    cx.unsupported_if(!grpc && api.api_type() != core::ApiConfigSource::DELTA_GRPC, "api_type");
  } else {
    cx.fail("one of ads, path_config_source, api_config_source must be set");
  }
  return out;
}

// === who the peer may be ===

config::SanMatcher::Type to_san_type(Context& cx, tls::SubjectAltNameMatcher::SanType type) {
  using Type = config::SanMatcher::Type;
  switch (type) {
    case tls::SubjectAltNameMatcher::EMAIL: return Type::email;
    case tls::SubjectAltNameMatcher::DNS: return Type::dns;
    case tls::SubjectAltNameMatcher::URI: return Type::uri;
    case tls::SubjectAltNameMatcher::IP_ADDRESS: return Type::ip;
    default: cx.unsupported("san_type"); return Type::any;
  }
}

void set_sans(Context& cx, const tls::CertificateValidationContext& in, config::ValidationContext& out) {
  {
    const auto at = cx.field("match_typed_subject_alt_names");
    for (const auto& item : in.match_typed_subject_alt_names()) {
      const auto in_list = cx.index(out.sans.size());
      const auto type = to_san_type(cx, item.san_type());
      const auto in_matcher = cx.field("matcher");
      out.sans.push_back({type, to_string_matcher(cx, item.matcher())});
    }
  }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  const auto at = cx.field("match_subject_alt_names");
  size_t i = 0;
  for (const auto& item : in.match_subject_alt_names()) {
    const auto in_list = cx.index(i++);
    out.sans.push_back({config::SanMatcher::Type::any, to_string_matcher(cx, item)});
  }
#pragma GCC diagnostic pop
}

// "DF:6F:F7…" or "df6ff7…", of SHA-256.
void set_hashes(Context& cx, const tls::CertificateValidationContext& in, config::ValidationContext& out) {
  constexpr size_t kHexDigits = 64;
  const auto at = cx.field("verify_certificate_hash");
  for (const std::string& text : in.verify_certificate_hash()) {
    const auto in_list = cx.index(out.certificate_hashes.size());
    std::string hash = to_lower(text);
    std::erase(hash, ':');
    const bool hex = hash.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (hash.size() != kHexDigits || !hex) cx.fail("must be the 64 hexadecimal digits of a SHA-256");
    out.certificate_hashes.push_back(std::move(hash));
  }
}

config::ValidationContext to_validation(Context& cx, const tls::CertificateValidationContext& in) {
  config::ValidationContext out;
  if (in.has_trusted_ca()) out.trust.material = to_trust(cx, in);
  set_sans(cx, in, out);
  set_hashes(cx, in, out);
  out.trust_chain_verification = in.trust_chain_verification() == tls::CertificateValidationContext::VERIFY_TRUST_CHAIN;
  return out;
}

void set_validation(Context& cx, const tls::CommonTlsContext& in, config::TlsContext& out) {
  switch (in.validation_context_type_case()) {
    case tls::CommonTlsContext::kValidationContext: {
      const auto at = cx.field("validation_context");
      out.validation = to_validation(cx, in.validation_context());
      const bool named = !out.validation.sans.empty();
      if (named && !out.validation.trust.is_set()) {
        cx.fail_at("trusted_ca", "must be set: names that nobody vouches for prove nothing");
      }
      break;
    }
    case tls::CommonTlsContext::kValidationContextSdsSecretConfig: {
      const auto at = cx.field("validation_context_sds_secret_config");
      out.validation.trust = to_reference(cx, in.validation_context_sds_secret_config());
      break;
    }
    case tls::CommonTlsContext::kCombinedValidationContext: {
      const auto at = cx.field("combined_validation_context");
      const auto& combined = in.combined_validation_context();
      {
        const auto in_default = cx.field("default_validation_context");
        out.validation = to_validation(cx, combined.default_validation_context());
      }
      const auto in_sds = cx.field("validation_context_sds_secret_config");
      out.validation.trust = to_reference(cx, combined.validation_context_sds_secret_config());
      break;
    }
    default: return;
  }
  out.has_validation = out.validation.trust.is_set() || !out.validation.certificate_hashes.empty();
}

// === the context ===

int to_version(tls::TlsParameters::TlsProtocol version, int automatic) {
  switch (version) {
    case tls::TlsParameters::TLSv1_0: return 0x0301;
    case tls::TlsParameters::TLSv1_1: return 0x0302;
    case tls::TlsParameters::TLSv1_2: return 0x0303;
    case tls::TlsParameters::TLSv1_3: return 0x0304;
    default: return automatic;
  }
}

// Suites of equal preference stand in brackets, "[A|B]"; OpenSSL has no such groups, so that they become a list.
std::string to_ciphers(const google::protobuf::RepeatedPtrField<std::string>& suites) {
  std::string out;
  for (const std::string& suite : suites) {
    if (!out.empty()) out += ':';
    for (const char c : suite) {
      if (c == '|') out += ':';
      if (c != '|' && c != '[' && c != ']') out += c;
    }
  }
  return out;
}

void set_parameters(Context& cx, const tls::TlsParameters& in, config::TlsContext& out) {
  const auto at = cx.field("tls_params");
  out.version_min = to_version(in.tls_minimum_protocol_version(), out.version_min);
  out.version_max = to_version(in.tls_maximum_protocol_version(), out.version_max);
  if (out.version_min > out.version_max) {
    cx.fail_at("tls_maximum_protocol_version", "must not be lower than the minimum");
  }
  out.ciphers = to_ciphers(in.cipher_suites());
  out.curves.assign(in.ecdh_curves().begin(), in.ecdh_curves().end());
}

void set_common(Context& cx, const tls::CommonTlsContext& in, config::TlsContext& out) {
  const auto at = cx.field("common_tls_context");
  set_parameters(cx, in.tls_params(), out);
  {
    const auto in_certificates = cx.field("tls_certificates");
    for (const auto& item : in.tls_certificates()) {
      const auto in_list = cx.index(out.certificates.size());
      out.certificates.emplace_back().material = to_certificate(cx, item);
    }
  }
  {
    const auto in_secrets = cx.field("tls_certificate_sds_secret_configs");
    size_t i = 0;
    for (const auto& item : in.tls_certificate_sds_secret_configs()) {
      const auto in_list = cx.index(i++);
      out.certificates.push_back(to_reference(cx, item));
    }
  }
  set_validation(cx, in, out);
  out.alpn.assign(in.alpn_protocols().begin(), in.alpn_protocols().end());
  if (std::ranges::find(out.alpn, config::kCarryAlpn) != out.alpn.end()) {
    cx.fail_at("alpn_protocols", "\"" + std::string(config::kCarryAlpn) +
                                     "\" is Pillion's own: it is offered by itself, where both sides can speak it");
  }
}

std::shared_ptr<const config::TlsContext> to_downstream(Context& cx, const tls::DownstreamTlsContext& in) {
  auto out = std::make_shared<config::TlsContext>();
  set_common(cx, in.common_tls_context(), *out);
  out->require_client_certificate = in.require_client_certificate().value();
  cx.unsupported_if(in.require_sni().value(), "require_sni");
  cx.unsupported_if(in.full_scan_certs_on_sni_mismatch().value(), "full_scan_certs_on_sni_mismatch");
  if (out->certificates.empty()) cx.fail_at("common_tls_context", "a server needs a certificate");
  if (out->require_client_certificate && !out->has_validation) {
    cx.fail_at("require_client_certificate", "needs a validation context that says which certificates are good");
  }
  return out;
}

std::shared_ptr<const config::TlsContext> to_upstream(Context& cx, const tls::UpstreamTlsContext& in) {
  auto out = std::make_shared<config::TlsContext>();
  set_common(cx, in.common_tls_context(), *out);
  out->sni = in.sni();
  out->allow_renegotiation = in.allow_renegotiation();
  cx.unsupported_if(in.enforce_rsa_key_usage().value(), "enforce_rsa_key_usage");
  if (out->certificates.size() > 1) cx.fail_at("common_tls_context", "a client has at most one certificate");
  return out;
}

}  // namespace

std::shared_ptr<const config::TlsContext> to_transport_socket(Context& cx, const core::TransportSocket& in,
                                                              Direction direction) {
  if (!in.has_typed_config() && in.name() == kRawBuffer) return nullptr;
  const auto at = cx.field("typed_config");
  const std::string type = content_type(in.typed_config());
  const std::string_view name = type.starts_with(kSockets) ? std::string_view(type).substr(kSockets.size()) : type;
  if (name == "raw_buffer.v3.RawBuffer") return nullptr;
  if (name == "tls.v3.DownstreamTlsContext" && direction == Direction::downstream) {
    const auto context = unpack_any<tls::DownstreamTlsContext>(cx, in.typed_config());
    return context ? to_downstream(cx, *context) : nullptr;
  }
  if (name == "tls.v3.UpstreamTlsContext" && direction == Direction::upstream) {
    const auto context = unpack_any<tls::UpstreamTlsContext>(cx, in.typed_config());
    return context ? to_upstream(cx, *context) : nullptr;
  }
  cx.fail(type.empty() ? "must be set" : "the transport socket " + type + " is not supported by Pillion here");
  return nullptr;
}

// === secrets ===

std::shared_ptr<TlsMaterial> to_secret(Context& cx, const tls::Secret& in) {
  if (in.has_tls_certificate()) {
    const auto at = cx.field("tls_certificate");
    return to_certificate(cx, in.tls_certificate());
  }
  if (!in.has_validation_context()) {
    cx.fail("must have a tls_certificate or a validation_context");
    return std::make_shared<TlsMaterial>();
  }
  const auto at = cx.field("validation_context");
  const auto& context = in.validation_context();
  cx.unsupported_if(context.match_typed_subject_alt_names_size() > 0, "match_typed_subject_alt_names");
  cx.unsupported_if(context.verify_certificate_hash_size() > 0, "verify_certificate_hash");
  return to_trust(cx, context);
}

Translated<TlsMaterial> translate_secret(const tls::Secret& message, const TranslationOptions& options,
                                         std::string_view path) {
  Context cx(options, path, 1);
  if (!check_message(cx, message)) return std::unexpected(std::move(cx.take_errors().front()));
  return finish(cx, to_secret(cx, message));
}

}  // namespace pillion::xds
