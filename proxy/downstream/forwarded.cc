#include "proxy/downstream/forwarded.h"

#include <algorithm>
#include <charconv>

#include "proxy/downstream/request_id.h"

namespace pillion::downstream {
namespace {

using config::HttpConnectionManager;
using http::HeaderId;

constexpr std::string_view kTrue = "true";

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

bool is_http_scheme(std::string_view s) {
  return http::equals_ignore_case(s, "http") || http::equals_ignore_case(s, "https");
}

// === who the client is ===

struct ForwardedFor {
  std::optional<Address> address;
  bool is_only = false;  // the list had one entry
};

// The entry that `hops` trusted proxies stand behind, counted from the right.
ForwardedFor last_forwarded_for(const http::HeaderMap& headers, uint32_t hops) {
  std::string_view list = headers.get_all("x-forwarded-for").value_or(std::string_view());
  if (list.empty()) return {};
  for (uint32_t i = 0; i < hops; ++i) {
    const size_t comma = list.rfind(',');
    if (comma == std::string_view::npos) return {};
    list = list.substr(0, comma);
  }
  const size_t comma = list.rfind(',');
  const std::string_view last = trim(comma == std::string_view::npos ? list : list.substr(comma + 1));
  ForwardedFor out{.address = Address::parse_ip(last, 0)};
  out.is_only = out.address && comma == std::string_view::npos && hops == 0;
  return out;
}

void append_to_list(http::HeaderMap& headers, HeaderId id, std::string_view separator, std::string_view value) {
  const std::string_view before = headers.get_all(http::header_name(id)).value_or(std::string_view());
  headers.set(id, before.empty() ? headers.arena().copy(value) : headers.arena().concat({before, separator, value}));
}

bool is_internal_address(const HttpConnectionManager& manager, const Address& address) {
  return std::any_of(manager.internal_addresses.begin(), manager.internal_addresses.end(),
                     [&](const Cidr& cidr) { return cidr.contains(address); });
}

// Names of the x-envoy- family without that prefix. The first four are Envoy's own between two of its kind: only at
// the edge are they not believed.
constexpr std::string_view kEdgeOnly[] = {"decorator-operation", "downstream-service-cluster",
                                          "downstream-service-node", "original-path"};
constexpr std::string_view kInternalOnly[] = {"retriable-status-codes",
                                              "retriable-header-names",
                                              "retry-on",
                                              "retry-grpc-on",
                                              "max-retries",
                                              "upstream-alt-stat-name",
                                              "upstream-rq-timeout-ms",
                                              "expected-rq-timeout-ms",
                                              "upstream-rq-per-try-timeout-ms",
                                              "upstream-rq-timeout-alt-response",
                                              "force-trace",
                                              "ip-tags",
                                              "original-url",
                                              "hedge-on-per-try-timeout",
                                              "internal"};

bool is_private(std::string_view name, bool is_edge) {
  constexpr std::string_view kPrefix = "x-envoy-";
  if (name.size() <= kPrefix.size() || !http::equals_ignore_case(name.substr(0, kPrefix.size()), kPrefix)) return false;
  const std::string_view rest = name.substr(kPrefix.size());
  const auto same = [rest](std::string_view other) { return http::equals_ignore_case(rest, other); };
  return std::any_of(std::begin(kInternalOnly), std::end(kInternalOnly), same) ||
         (is_edge && std::any_of(std::begin(kEdgeOnly), std::end(kEdgeOnly), same));
}

void strip_private(http::HeaderMap& headers, bool is_edge, const std::vector<std::string>& internal_only) {
  headers.remove_if([&](const http::Header& h) {
    if (is_private(h.name, is_edge)) return true;
    return std::any_of(internal_only.begin(), internal_only.end(),
                       [&](const std::string& name) { return http::equals_ignore_case(h.name, name); });
  });
}

void forward_client_certificate(const HttpConnectionManager& manager, const Peer& peer, http::HeaderMap& headers) {
  using Mode = HttpConnectionManager::ForwardClientCert;
  constexpr HeaderId kId = HeaderId::x_forwarded_client_cert;
  const Mode mode = manager.forward_client_cert;
  if (mode == Mode::always_forward_only) return;
  if (mode == Mode::sanitize || !peer.has_certificate) {
    headers.remove(kId);
  } else if (mode == Mode::append_forward) {
    append_to_list(headers, kId, ",", *peer.certificate);
  } else if (mode == Mode::sanitize_set) {
    headers.set(kId, *peer.certificate);
  }
}

Origin apply_forwarded_for(const HttpConnectionManager& manager, const Peer& peer, http::HeaderMap& headers) {
  Origin origin;
  ForwardedFor seen;
  bool is_only = false;
  if (manager.use_remote_address) {
    is_only = !headers.has(HeaderId::x_forwarded_for);
    if (manager.xff_trusted_hops > 0) seen = last_forwarded_for(headers, manager.xff_trusted_hops - 1);
    if (!manager.skip_xff_append && !peer.ip.empty()) append_to_list(headers, HeaderId::x_forwarded_for, ",", peer.ip);
    if (manager.xff_trusted_hops == 0) headers.remove(HeaderId::x_forwarded_proto);
  } else {
    seen = last_forwarded_for(headers, manager.xff_trusted_hops);
    is_only = seen.is_only;
  }
  origin.remote = seen.address ? *seen.address : peer.address;
  // Without use_remote_address only what the list says counts, and a peer that sent none proves nothing.
  const bool known = manager.use_remote_address || seen.address.has_value();
  origin.is_internal = known && is_only && is_internal_address(manager, origin.remote);
  return origin;
}

}  // namespace

Origin apply_forwarding(const HttpConnectionManager& manager, const Peer& peer,
                        const std::vector<std::string>& internal_only, Random& random, http::RequestHead& head) {
  http::HeaderMap& headers = head.headers;
  const std::string_view own_scheme = peer.is_tls ? "https" : "http";
  const Origin origin = apply_forwarded_for(manager, peer, headers);
  if (!headers.has(HeaderId::x_forwarded_proto)) headers.add(HeaderId::x_forwarded_proto, own_scheme);
  if (head.scheme.empty()) {
    const std::string_view proto = headers.get(HeaderId::x_forwarded_proto);
    head.scheme = is_http_scheme(proto) ? proto : own_scheme;
  }
  const bool is_edge = manager.use_remote_address && !origin.is_internal;
  if (origin.is_internal) {
    headers.set(HeaderId::x_envoy_internal, kTrue);
  } else {
    strip_private(headers, is_edge, internal_only);
  }
  if (!manager.via.empty()) append_to_list(headers, HeaderId::via, ", ", manager.via);
  if (is_edge && origin.remote.is_ip()) {
    const bool is_peer = origin.remote.same_ip(peer.address);
    headers.set(HeaderId::x_envoy_external_address,
                is_peer ? std::string_view(peer.ip) : headers.arena().copy(origin.remote.ip()));
  }
  if (manager.generate_request_id) {
    const bool replace = is_edge && !manager.preserve_external_request_id;
    if (replace || !headers.has(HeaderId::x_request_id)) {
      headers.set(HeaderId::x_request_id, make_request_id(random, headers.arena()));
    }
  }
  forward_client_certificate(manager, peer, headers);
  return origin;
}

// === the client's certificate ===

namespace {

// The letters of base64 and PEM that a URL would mean otherwise.
void append_url_encoded(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '\n': out += "%0A"; break;
      case ' ': out += "%20"; break;
      case '+': out += "%2B"; break;
      case '/': out += "%2F"; break;
      case '=': out += "%3D"; break;
      default: out += c;
    }
  }
}

std::string base64(std::string_view bytes) {
  constexpr char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) out += k <= n ? kLetters[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

void append_pem(std::string& out, const std::string& der) {
  constexpr size_t kLineLetters = 64;
  std::string pem = "-----BEGIN CERTIFICATE-----\n";
  const std::string text = base64(der);
  for (size_t i = 0; i < text.size(); i += kLineLetters) {
    pem += text.substr(i, kLineLetters);
    pem += '\n';
  }
  pem += "-----END CERTIFICATE-----\n";
  append_url_encoded(out, pem);
}

}  // namespace

std::string client_certificate_element(const HttpConnectionManager& manager, const net::TlsInfo& tls,
                                       const std::vector<std::string>& chain_der) {
  std::string out;
  const auto start = [&out](std::string_view key) {
    if (!out.empty()) out += ';';
    out += key;
  };
  if (!tls.local_uri_san.empty()) {
    start("By=");
    out += tls.local_uri_san;
  }
  start("Hash=");
  out += tls.peer_certificate_hash;
  if (manager.xfcc_cert && !chain_der.empty()) {
    start("Cert=\"");
    append_pem(out, chain_der.front());
    out += '"';
  }
  if (manager.xfcc_chain && !chain_der.empty()) {
    start("Chain=\"");
    for (const std::string& der : chain_der) append_pem(out, der);
    out += '"';
  }
  if (manager.xfcc_subject) {
    start("Subject=\"");
    out += tls.peer_subject;
    out += '"';
  }
  if (manager.xfcc_uri) {  // the key is there also where the certificate has none
    start("URI=");
    out += tls.peer_uri_san;
  }
  if (manager.xfcc_dns) {
    for (const std::string& name : tls.peer_dns_sans) {
      start("DNS=");
      out += name;
    }
  }
  return out;
}

// === response ===

void finish_response(const HttpConnectionManager& manager, const http::RequestHead* request, std::string_view date,
                     http::ResponseHead& head) {
  http::HeaderMap& headers = head.headers;
  if (manager.always_set_request_id_in_response && request != nullptr) {
    const std::string_view id = request->headers.get(HeaderId::x_request_id);
    if (!id.empty()) headers.set(HeaderId::x_request_id, id);
  }
  if (!manager.via.empty()) append_to_list(headers, HeaderId::via, ", ", manager.via);
  if (!headers.has(HeaderId::date)) headers.add(HeaderId::date, headers.arena().copy(date));
  using Mode = HttpConnectionManager::ServerHeader;
  if (manager.server_header == Mode::overwrite ||
      (manager.server_header == Mode::append_if_absent && !headers.has(HeaderId::server))) {
    headers.set(HeaderId::server, manager.server_name);
  }
}

}  // namespace pillion::downstream
