// /certs, as envoy.admin.v3.Certificates.
#include "proxy/admin/certificates.h"
#include "proxy/admin/json.h"
#include "proxy/admin/pages.h"
#include "proxy/net/certificate_info.h"

namespace pillion::admin {
namespace {

std::string date_text(int64_t unix_seconds) {
  std::string text = format_rfc3339_ms(unix_seconds * 1'000'000);
  return text.substr(0, text.find('.')) + "Z";
}

const char* name_of(net::SubjectAltName::Kind kind) {
  switch (kind) {
    case net::SubjectAltName::Kind::dns: return "dns";
    case net::SubjectAltName::Kind::uri: return "uri";
    case net::SubjectAltName::Kind::ip: return "ip_address";
  }
  return "";
}

void write_certificates(JsonWriter& json, const std::string& pem, const std::string& path, int64_t now_us) {
  for (const net::CertificateInfo& info : net::describe_certificates(pem)) {
    json.begin_object().field("path", path.empty() ? "<inline>" : path).field("serial_number", info.serial_number);
    json.key("subject_alt_names").begin_array();
    for (const net::SubjectAltName& name : info.subject_alt_names) {
      json.begin_object().field(name_of(name.kind), name.value).end_object();
    }
    json.end_array()
        .field("days_until_expiration", std::to_string(days_until(info.not_after, now_us)))
        .field("valid_from", date_text(info.not_before))
        .field("expiration_time", date_text(info.not_after))
        .end_object();
  }
}

}  // namespace

// The leaf stands before what it trusts: it is what people look for.
rpc::HttpResponse certs_page(Context& context, const PageRequest&) {
  const int64_t now_us = wall_now_us();
  JsonWriter json;
  json.begin_object().key("certificates").begin_array();
  if (const config::SnapshotPtr& snapshot = context.server.snapshot()) {
    for (const CertificateUse& use : certificate_uses(*snapshot)) {
      json.begin_object().key("cert_chain").begin_array();
      for (const TlsMaterial* one : use.presented) {
        write_certificates(json, one->cert_chain, one->cert_chain_path, now_us);
      }
      json.end_array().key("ca_cert").begin_array();
      if (use.trust != nullptr) {
        write_certificates(json, use.trust->trust_bundle, use.trust->trust_bundle_path, now_us);
      }
      json.end_array().end_object();
    }
  }
  json.end_array().end_object();
  return json_page(json.take());
}

}  // namespace pillion::admin
