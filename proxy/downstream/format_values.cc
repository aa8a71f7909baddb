#include "proxy/downstream/format_values.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>

namespace pillion::downstream {
namespace {

using config::FormatOp;
using Kind = config::FormatOp::Kind;

bool append_text(std::string_view value, std::string& out) {
  out += value;
  return !value.empty();
}

bool append_number(uint64_t value, std::string& out) {
  out += std::to_string(value);
  return true;
}

// === headers ===

// Envoy has one value of a header that it knows, and tells only the first of others.
std::optional<std::string_view> field_value(const http::HeaderMap& headers, std::string_view name) {
  if (http::header_id(name) != http::HeaderId::other) return headers.get_all(name);
  const http::Header* const found = headers.find(name);
  return found == nullptr ? std::nullopt : std::optional(found->value);
}

std::string_view request_value(const http::RequestHead& head, std::string_view name, bool& found) {
  found = true;
  if (name.starts_with(':') || name == "host") {
    std::string_view value;
    if (name == ":method") value = head.method;
    if (name == ":path") value = head.path;
    if (name == ":authority" || name == "host") value = head.authority;
    if (name == ":scheme") value = head.scheme;
    found = !value.empty();
    return value;
  }
  const auto value = field_value(head.headers, name);
  found = value.has_value();
  return value.value_or(std::string_view());
}

bool append_request(const http::RequestHead* head, const FormatOp& op, std::string& out) {
  if (head == nullptr) return false;
  bool found = false;
  std::string_view value = request_value(*head, op.text, found);
  if (!found && !op.alternative.empty()) value = request_value(*head, op.alternative, found);
  out += value;
  return found;
}

bool append_field(const http::HeaderMap* headers, const FormatOp& op, std::string& out) {
  if (headers == nullptr) return false;
  auto value = field_value(*headers, op.text);
  if (!value && !op.alternative.empty()) value = field_value(*headers, op.alternative);
  if (!value) return false;
  out += *value;
  return true;
}

// === gRPC ===

// Words of the status codes, joined or with underscores.
constexpr std::string_view kGrpcNames[] = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

bool append_grpc_status(const filter::ExchangeRecord& record, std::string_view form, std::string& out) {
  std::string_view text;
  if (record.response_trailers != nullptr) text = record.response_trailers->get(http::HeaderId::grpc_status);
  if (text.empty() && record.response != nullptr) text = record.response->headers.get(http::HeaderId::grpc_status);
  if (text.empty()) return false;
  int status = -1;
  std::from_chars(text.data(), text.data() + text.size(), status);
  const bool is_known = status >= 0 && status < static_cast<int>(std::size(kGrpcNames));
  if (form == "NUMBER" || !is_known) return append_text(text, out);
  for (const char c : kGrpcNames[status]) {
    const bool capital = c >= 'A' && c <= 'Z';
    if (form == "SNAKE_STRING" && status > 0) {
      if (capital && !out.empty() && out.back() != '_' && &c != kGrpcNames[status].data()) out += '_';
      out += capital ? c : static_cast<char>(c - ('a' - 'A'));
    } else {
      out += c;
    }
  }
  return true;
}

// === times ===

bool append_span(Instant from, Instant to, std::string& out) {
  out += std::to_string(to_ms(to - from));
  return true;
}

// What a point of %COMMON_DURATION% stands for; none where it was not reached or is not kept.
std::optional<Instant> time_point(const filter::ExchangeRecord& r, std::string_view name) {
  if (name == "DS_RX_BEG") return r.start;
  if (name == "DS_RX_END") return r.request_end;
  if (name == "US_RX_BEG") return r.upstream_first_byte;
  if (name == "DS_TX_BEG") return r.response_begin;
  if (name == "DS_TX_END" && r.end != Instant{}) return r.end;
  return std::nullopt;
}

// "DS_RX_BEG:DS_TX_END:ms"
bool append_common_duration(const filter::ExchangeRecord& r, std::string_view argument, std::string& out) {
  const size_t first = argument.find(':');
  if (first == std::string_view::npos) return false;
  const size_t second = std::min(argument.find(':', first + 1), argument.size());
  const auto from = time_point(r, argument.substr(0, first));
  const auto to = time_point(r, argument.substr(first + 1, second - first - 1));
  if (!from || !to || *to < *from) return false;
  const std::string_view unit = second == argument.size() ? "ms" : argument.substr(second + 1);
  const int64_t us = (*to - *from).count();
  return append_number(static_cast<uint64_t>(unit == "us" ? us : unit == "ns" ? us * 1000 : us / 1000), out);
}

uint64_t bytes_of(const http::HeaderMap& headers) {
  uint64_t bytes = 0;
  for (const http::Header& h : headers) bytes += h.name.size() + h.value.size();
  return bytes;
}

uint64_t bytes_of(const http::RequestHead& head) {
  constexpr size_t kPseudoNames = sizeof(":method:scheme:authority:path") - 1;
  return bytes_of(head.headers) + kPseudoNames + head.method.size() + head.scheme.size() + head.authority.size() +
         head.path.size();
}

uint64_t bytes_of(const http::ResponseHead& head) {
  return bytes_of(head.headers) + sizeof(":status200") - 1;
}

std::string_view hostname() {
  static const std::string name = [] {
    char text[256] = {};
    return gethostname(text, sizeof(text) - 1) == 0 ? std::string(text) : std::string();
  }();
  return name;
}

}  // namespace

bool ExchangeValues::append(const FormatOp& op, std::string& out) const {
  const filter::ExchangeRecord& r = record_;
  switch (op.kind) {
    case Kind::response_code: return append_number(r.status, out);
    case Kind::response_code_details: return append_text(r.details, out);
    case Kind::response_flags:
    case Kind::response_flags_long:  // none is a value too
      return append_flags(response_flags(r), op.kind == Kind::response_flags_long, out) || append_text("-", out);
    case Kind::bytes_received: return append_number(r.request_body_bytes, out);
    case Kind::bytes_sent: return append_number(r.response_body_bytes, out);
    case Kind::route_name: return append_text(r.route_name, out);
    case Kind::upstream_cluster: return append_text(r.cluster, out);
    case Kind::upstream_transport_failure_reason: return append_text(r.transport_failure, out);
    case Kind::upstream_request_attempt_count: return append_number(r.attempts_total, out);
    case Kind::requested_server_name: return append_text(r.sni, out);
    case Kind::hostname: return append_text(hostname(), out);
    case Kind::connection_id: return append_number(r.connection_id, out);
    case Kind::stream_id: return append_number(r.stream_id, out);
    case Kind::filter_chain_name: return append_text(r.filter_chain, out);
    case Kind::failure_sentence: return append_text(failure_sentence(r), out);
    default: break;
  }
  return append_message(op, out) || append_time(op, out) || append_address(op, out) || append_tls(op, out);
}

bool ExchangeValues::append_message(const FormatOp& op, std::string& out) const {
  const filter::ExchangeRecord& r = record_;
  switch (op.kind) {
    case Kind::req: return append_request(r.request, op, out);
    case Kind::resp: return append_field(r.response == nullptr ? nullptr : &r.response->headers, op, out);
    case Kind::trailer: return append_field(r.response_trailers, op, out);
    case Kind::protocol: return !r.is_tunnel && append_text(http::name_of(r.version), out);
    case Kind::upstream_protocol: return r.upstream_version && append_text(http::name_of(*r.upstream_version), out);
    case Kind::request_headers_bytes: return append_number(r.request != nullptr ? bytes_of(*r.request) : 0, out);
    case Kind::response_headers_bytes: return append_number(r.response != nullptr ? bytes_of(*r.response) : 0, out);
    case Kind::response_trailers_bytes:
      return append_number(r.response_trailers != nullptr ? bytes_of(*r.response_trailers) : 0, out);
    case Kind::grpc_status: return append_grpc_status(r, op.text, out);
    case Kind::attempts: {
      const size_t before = out.size();
      for (const filter::AttemptRecord& a : r.attempts) {
        if (out.size() > before) out += "; ";
        out += a.endpoint.is_none() ? "no endpoint" : a.endpoint.to_string();
        out += a.error.code == Code::ok ? " answered " + std::to_string(a.status)
                                        : std::string(" ") + info(a.error.code).name;
        out += " after " + std::to_string(to_ms(a.took)) + " ms";
      }
      return out.size() > before;
    }
    default: return false;
  }
}

bool ExchangeValues::append_time(const FormatOp& op, std::string& out) const {
  const filter::ExchangeRecord& r = record_;
  const bool has_ended = r.end != Instant{};
  switch (op.kind) {
    case Kind::start_time: config::format_time(r.start_wall_us, op.text, out); return true;
    case Kind::duration: return has_ended && append_span(r.start, r.end, out);
    case Kind::request_duration: return r.request_end && append_span(r.start, *r.request_end, out);
    case Kind::response_duration: return r.upstream_first_byte && append_span(r.start, *r.upstream_first_byte, out);
    case Kind::common_duration: return append_common_duration(r, op.text, out);
    case Kind::response_tx_duration:
      return r.upstream_first_byte && has_ended && append_span(*r.upstream_first_byte, r.end, out);
    default: return false;
  }
}

bool ExchangeValues::append_address(const FormatOp& op, std::string& out) const {
  const filter::ExchangeRecord& r = record_;
  const auto whole = [&out](const Address& a) { return !a.is_none() && append_text(a.to_string(), out); };
  const auto bare = [&out](const Address& a) { return !a.is_none() && append_text(a.ip(), out); };
  const auto port = [&out](const Address& a) { return a.is_ip() && append_number(a.port(), out); };
  switch (op.kind) {
    case Kind::upstream_host: return whole(r.upstream_address);
    case Kind::upstream_host_without_port: return bare(r.upstream_address);
    case Kind::upstream_host_port: return port(r.upstream_address);
    case Kind::upstream_local_address: return whole(r.upstream_local_address);
    case Kind::upstream_local_address_without_port: return bare(r.upstream_local_address);
    case Kind::upstream_local_port: return port(r.upstream_local_address);
    case Kind::downstream_remote_address: return whole(r.downstream_remote);
    case Kind::downstream_remote_address_without_port: return bare(r.downstream_remote);
    case Kind::downstream_remote_port: return port(r.downstream_remote);
    case Kind::downstream_direct_remote_address: return whole(r.downstream_direct_remote);
    case Kind::downstream_direct_remote_address_without_port: return bare(r.downstream_direct_remote);
    case Kind::downstream_local_address: return whole(r.downstream_local);
    case Kind::downstream_local_address_without_port: return bare(r.downstream_local);
    case Kind::downstream_local_port: return port(r.downstream_local);
    default: return false;
  }
}

bool ExchangeValues::append_tls(const FormatOp& op, std::string& out) const {
  const net::TlsInfo* tls = record_.downstream_tls;
  if (tls == nullptr) return false;
  switch (op.kind) {
    case Kind::downstream_peer_uri_san: return append_text(tls->peer_uri_san, out);
    case Kind::downstream_local_uri_san: return append_text(tls->local_uri_san, out);
    case Kind::downstream_peer_subject: return append_text(tls->peer_subject, out);
    case Kind::downstream_peer_fingerprint: return append_text(tls->peer_certificate_hash, out);
    case Kind::downstream_tls_version: return append_text(tls->version, out);
    case Kind::downstream_tls_cipher: return append_text(tls->cipher, out);
    default: return false;
  }
}

}  // namespace pillion::downstream
