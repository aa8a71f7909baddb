#include "xds/translate/values.h"

#include <envoy/config/core/v3/address.pb.h>
#include <envoy/config/core/v3/base.pb.h>
#include <envoy/config/core/v3/config_source.pb.h>
#include <envoy/type/v3/percent.pb.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "xds/api/scalar_field.h"

namespace pillion::xds {

namespace core = envoy::config::core::v3;

std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

Duration to_duration(Context& cx, const google::protobuf::Duration& duration) {
  constexpr int64_t kSecondsMax = 315'576'000'000;  // protobuf's own limit
  if (duration.seconds() < 0 || duration.nanos() < 0) {
    cx.fail("must not be negative");
    return {};
  }
  const Duration out(std::min(duration.seconds(), kSecondsMax) * 1'000'000 + duration.nanos() / 1000);
  // Less than a microsecond is not nothing: zero means none in many places.
  return out.count() == 0 && duration.nanos() > 0 ? Duration(1) : out;
}

// === addresses ===

Address to_address(Context& cx, const core::SocketAddress& address) {
  if (address.protocol() != core::SocketAddress::TCP) {
    cx.unsupported("protocol");
    return {};
  }
  if (const auto parsed = Address::parse_ip(address.address(), static_cast<uint16_t>(address.port_value()))) {
    return *parsed;
  }
  cx.fail_at("address", quoted_for_error(address.address()) + " is not an IP address");
  return {};
}

Address to_address(Context& cx, const core::Address& address) {
  if (address.has_pipe()) return Address::pipe(address.pipe().path());
  const auto at = cx.field("socket_address");
  return to_address(cx, address.socket_address());
}

Cidr to_cidr(Context& cx, const core::CidrRange& range) {
  const auto base = Address::parse_ip(range.address_prefix(), 0);
  if (!base) {
    cx.fail_at("address_prefix", quoted_for_error(range.address_prefix()) + " is not an IP address");
    return {};
  }
  const uint32_t length_max = base->family() == AF_INET ? 32 : 128;
  const uint32_t length = range.prefix_len().value();  // unset is 0, as in Envoy
  if (length > length_max) cx.fail_at("prefix_len", "must be at most " + std::to_string(length_max));
  return {*base, static_cast<uint8_t>(length)};
}

// === data sources ===

namespace {

std::string read_file(Context& cx, const std::string& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    cx.fail_at("filename", path + " cannot be opened: " + std::strerror(errno));
    return {};
  }
  std::string out(kMaxDataSourceBytes + 1, '\0');
  in.read(out.data(), static_cast<std::streamsize>(out.size()));
  out.resize(static_cast<size_t>(in.gcount()));
  if (in.bad()) cx.fail_at("filename", path + " cannot be read: " + std::strerror(errno));
  if (out.size() > kMaxDataSourceBytes) {
    cx.fail_at("filename", path + " is larger than " + std::to_string(kMaxDataSourceBytes) + " bytes");
  }
  return out;
}

}  // namespace

std::string read_data_source(Context& cx, const core::DataSource& source) {
  switch (source.specifier_case()) {
    case core::DataSource::kFilename: return read_file(cx, source.filename());
    case core::DataSource::kInlineBytes: return source.inline_bytes();
    case core::DataSource::kInlineString: return source.inline_string();
    case core::DataSource::kEnvironmentVariable: {
      const char* value = std::getenv(source.environment_variable().c_str());
      if (value != nullptr) return value;
      cx.fail_at("environment_variable", source.environment_variable() + " is not set");
      return {};
    }
    case core::DataSource::SPECIFIER_NOT_SET: cx.fail("must be set"); return {};
  }
  return {};
}

// === numbers ===

uint32_t to_percent(const envoy::type::v3::Percent& percent) {
  return static_cast<uint32_t>(std::lround(std::clamp(percent.value(), 0.0, 100.0)));
}

FractionalParts to_fraction(const core::RuntimeFractionalPercent& fraction) {
  const auto& value = fraction.default_value();
  uint32_t denominator = 100;
  if (value.denominator() == envoy::type::v3::FractionalPercent::TEN_THOUSAND) denominator = 10'000;
  if (value.denominator() == envoy::type::v3::FractionalPercent::MILLION) denominator = 1'000'000;
  return {std::min(value.numerator(), denominator), denominator};
}

// === formats ===

namespace {

// Operators of Envoy 1.40 that have no value here and are rendered as missing.
constexpr std::string_view kForeignOperators =
    " ACCESS_LOG_TYPE CLUSTER_METADATA COMMON_DURATION CUSTOM_FLAGS DOWNSTREAM_CX_RTT "
    "DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT "
    "DOWNSTREAM_DETECTED_CLOSE_TYPE DOWNSTREAM_DIRECT_LOCAL_ADDRESS "
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT "
    "DOWNSTREAM_DIRECT_LOCAL_PORT DOWNSTREAM_DIRECT_REMOTE_PORT DOWNSTREAM_HANDSHAKE_DURATION "
    "DOWNSTREAM_HEADER_BYTES_RECEIVED DOWNSTREAM_HEADER_BYTES_SENT DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID "
    "DOWNSTREAM_LOCAL_CLOSE_REASON DOWNSTREAM_LOCAL_DNS_SAN DOWNSTREAM_LOCAL_EMAIL_SAN "
    "DOWNSTREAM_LOCAL_IP_SAN DOWNSTREAM_LOCAL_OTHERNAME_SAN DOWNSTREAM_LOCAL_SUBJECT "
    "DOWNSTREAM_PEER_CERT_V_END DOWNSTREAM_PEER_CERT_V_START DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1 "
    "DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256 DOWNSTREAM_PEER_CHAIN_SERIALS DOWNSTREAM_PEER_DNS_SAN "
    "DOWNSTREAM_PEER_EMAIL_SAN DOWNSTREAM_PEER_FINGERPRINT_1 DOWNSTREAM_PEER_FINGERPRINT_256 "
    "DOWNSTREAM_PEER_IP_SAN DOWNSTREAM_PEER_ISSUER DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256 "
    "DOWNSTREAM_PEER_ISSUER_SERIAL DOWNSTREAM_PEER_OTHERNAME_SAN DOWNSTREAM_PEER_SERIAL "
    "DOWNSTREAM_TLS_GROUP DOWNSTREAM_TLS_SESSION_ID DYNAMIC_METADATA EMIT_TIME EMIT_TIME_LOCAL "
    "FILTER_STATE GRPC_STATUS_NUMBER PATH QUERY_PARAM QUERY_PARAMS REQUEST_HEADER REQUEST_HEADERS_BYTES "
    "REQUEST_TRAILER REQUEST_TX_DURATION RESPONSE_HEADER RESPONSE_HEADERS_BYTES RESPONSE_TRAILER "
    "RESPONSE_TRAILERS_BYTES ROUNDTRIP_DURATION START_TIME_LOCAL TLS_JA3_FINGERPRINT TLS_JA4_FINGERPRINT "
    "TRACE_ID UNIQUE_ID UPSTREAM_CLUSTER_RAW UPSTREAM_CONNECTION_ID UPSTREAM_CONNECTION_IDS_ATTEMPTED "
    "UPSTREAM_CONNECTION_POOL_READY_DURATION UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED "
    "UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT UPSTREAM_DETECTED_CLOSE_TYPE UPSTREAM_FILTER_STATE "
    "UPSTREAM_HOSTS_ATTEMPTED UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT UPSTREAM_HOST_NAME "
    "UPSTREAM_HOST_NAMES_ATTEMPTED UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT "
    "UPSTREAM_HOST_NAME_WITHOUT_PORT UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT UPSTREAM_LOCAL_CLOSE_REASON "
    "UPSTREAM_LOCAL_DNS_SAN UPSTREAM_LOCAL_IP_SAN UPSTREAM_LOCAL_PORT UPSTREAM_LOCAL_URI_SAN "
    "UPSTREAM_METADATA UPSTREAM_PEER_CERT UPSTREAM_PEER_CERT_V_END UPSTREAM_PEER_CERT_V_START "
    "UPSTREAM_PEER_DNS_SAN UPSTREAM_PEER_IP_SAN UPSTREAM_PEER_ISSUER UPSTREAM_PEER_SUBJECT "
    "UPSTREAM_REMOTE_ADDRESS UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT "
    "UPSTREAM_REMOTE_PORT UPSTREAM_SERVER_NAME UPSTREAM_TLS_GROUP UPSTREAM_TLS_SESSION_ID ";

}  // namespace

config::Format to_format(Context& cx, std::string_view text) {
  auto format = config::Format::compile(text);
  if (!format) {
    cx.fail(std::move(format.error()));
    return {};
  }
  for (const std::string& name : format->unknown_operators) {
    if (!kForeignOperators.contains(" " + name + " ")) {
      cx.fail(quoted_for_error("%" + name + "%") + " is not an operator of a format");
    }
  }
  return std::move(*format);
}

// === sources ===

void expect_ads(Context& cx, const core::ConfigSource& source) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  cx.unsupported_if(source.resource_api_version() == core::ApiVersion::V2, "resource_api_version");
#pragma GCC diagnostic pop
  if (source.has_api_config_source()) return cx.fail_at("api_config_source", "only ads is supported by Pillion here");
  if (source.has_path_config_source()) return cx.fail_at("path_config_source", "only ads is supported by Pillion here");
  if (!source.has_ads()) cx.fail("only ads is supported by Pillion here");
}

}  // namespace pillion::xds
