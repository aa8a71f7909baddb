#include "proxy/config/format.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

namespace pillion::config {
namespace {

using Kind = FormatOp::Kind;

enum class Argument : uint8_t {
  none,
  header,    // (name?alternative), may be cut
  time,      // (format), optional
  text,      // (anything), may be cut
  optional,  // (anything) or nothing
};

struct Operator {
  std::string_view name;
  Kind kind;
  Argument argument = Argument::none;
};

// Names of Envoy's documentation, sorted; a kind may have several.
constexpr auto kOperators = std::to_array<Operator>({
    {"BYTES_RECEIVED", Kind::bytes_received},
    {"BYTES_SENT", Kind::bytes_sent},
    {"COMMON_DURATION", Kind::common_duration, Argument::text},
    {"CONNECTION_ID", Kind::connection_id},
    {"CONNECTION_TERMINATION_DETAILS", Kind::connection_termination_details},
    {"DOWNSTREAM_DIRECT_REMOTE_ADDRESS", Kind::downstream_direct_remote_address},
    {"DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", Kind::downstream_direct_remote_address_without_port},
    {"DOWNSTREAM_LOCAL_ADDRESS", Kind::downstream_local_address},
    {"DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", Kind::downstream_local_address_without_port},
    {"DOWNSTREAM_LOCAL_PORT", Kind::downstream_local_port},
    {"DOWNSTREAM_LOCAL_URI_SAN", Kind::downstream_local_uri_san},
    {"DOWNSTREAM_PEER_CERT", Kind::downstream_peer_cert},
    {"DOWNSTREAM_PEER_FINGERPRINT_256", Kind::downstream_peer_fingerprint},
    {"DOWNSTREAM_PEER_SUBJECT", Kind::downstream_peer_subject},
    {"DOWNSTREAM_PEER_URI_SAN", Kind::downstream_peer_uri_san},
    {"DOWNSTREAM_REMOTE_ADDRESS", Kind::downstream_remote_address},
    {"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Kind::downstream_remote_address_without_port},
    {"DOWNSTREAM_REMOTE_PORT", Kind::downstream_remote_port},
    {"DOWNSTREAM_TLS_CIPHER", Kind::downstream_tls_cipher},
    {"DOWNSTREAM_TLS_VERSION", Kind::downstream_tls_version},
    {"DOWNSTREAM_TRANSPORT_FAILURE_REASON", Kind::downstream_transport_failure_reason},
    {"DOWNSTREAM_WIRE_BYTES_RECEIVED", Kind::downstream_wire_bytes_received},
    {"DOWNSTREAM_WIRE_BYTES_SENT", Kind::downstream_wire_bytes_sent},
    {"DURATION", Kind::duration},
    {"DYNAMIC_METADATA", Kind::dynamic_metadata, Argument::text},
    {"ENVIRONMENT", Kind::environment, Argument::text},
    {"FILTER_CHAIN_NAME", Kind::filter_chain_name},
    {"GRPC_STATUS", Kind::grpc_status, Argument::optional},
    {"GRPC_STATUS_NUMBER", Kind::grpc_status},
    {"HOSTNAME", Kind::hostname},
    {"PILLION_ATTEMPTS", Kind::attempts},
    {"PILLION_FAILURE", Kind::failure_sentence},
    {"PROTOCOL", Kind::protocol},
    {"REQ", Kind::req, Argument::header},
    {"REQUESTED_SERVER_NAME", Kind::requested_server_name, Argument::optional},
    {"REQUEST_DURATION", Kind::request_duration},
    {"REQUEST_HEADERS_BYTES", Kind::request_headers_bytes},
    {"RESP", Kind::resp, Argument::header},
    {"RESPONSE_CODE", Kind::response_code},
    {"RESPONSE_CODE_DETAILS", Kind::response_code_details, Argument::optional},
    {"RESPONSE_DURATION", Kind::response_duration},
    {"RESPONSE_FLAGS", Kind::response_flags},
    {"RESPONSE_FLAGS_LONG", Kind::response_flags_long},
    {"RESPONSE_HEADERS_BYTES", Kind::response_headers_bytes},
    {"RESPONSE_TRAILERS_BYTES", Kind::response_trailers_bytes},
    {"RESPONSE_TX_DURATION", Kind::response_tx_duration},
    {"ROUTE_NAME", Kind::route_name},
    {"START_TIME", Kind::start_time, Argument::time},
    {"STREAM_ID", Kind::stream_id},
    {"TRAILER", Kind::trailer, Argument::header},
    {"UPSTREAM_CLUSTER", Kind::upstream_cluster},
    {"UPSTREAM_CLUSTER_RAW", Kind::upstream_cluster},
    {"UPSTREAM_HEADER_BYTES_RECEIVED", Kind::upstream_header_bytes_received},
    {"UPSTREAM_HEADER_BYTES_SENT", Kind::upstream_header_bytes_sent},
    {"UPSTREAM_HOST", Kind::upstream_host},
    {"UPSTREAM_HOST_NAME", Kind::upstream_host_name},
    {"UPSTREAM_LOCAL_ADDRESS", Kind::upstream_local_address},
    {"UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", Kind::upstream_local_address_without_port},
    {"UPSTREAM_LOCAL_PORT", Kind::upstream_local_port},
    {"UPSTREAM_PEER_URI_SAN", Kind::upstream_peer_uri_san},
    {"UPSTREAM_PROTOCOL", Kind::upstream_protocol},
    {"UPSTREAM_REMOTE_ADDRESS", Kind::upstream_host},
    {"UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Kind::upstream_host_without_port},
    {"UPSTREAM_REMOTE_PORT", Kind::upstream_host_port},
    {"UPSTREAM_REQUEST_ATTEMPT_COUNT", Kind::upstream_request_attempt_count},
    {"UPSTREAM_TLS_CIPHER", Kind::upstream_tls_cipher},
    {"UPSTREAM_TLS_VERSION", Kind::upstream_tls_version},
    {"UPSTREAM_TRANSPORT_FAILURE_REASON", Kind::upstream_transport_failure_reason},
    {"UPSTREAM_WIRE_BYTES_RECEIVED", Kind::upstream_wire_bytes_received},
    {"UPSTREAM_WIRE_BYTES_SENT", Kind::upstream_wire_bytes_sent},
    {"VIRTUAL_CLUSTER_NAME", Kind::virtual_cluster_name},
});
static_assert(std::ranges::is_sorted(kOperators, {}, &Operator::name));

const Operator* find_operator(std::string_view name) {
  const auto* it = std::ranges::lower_bound(kOperators, name, {}, &Operator::name);
  return it != kOperators.end() && it->name == name ? it : nullptr;
}

std::string lower(std::string_view s) {
  std::string out(s);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return out;
}

bool is_name_char(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// One %NAME(argument):length% as it is written.
struct Command {
  std::string_view name;
  std::optional<std::string_view> argument;
  std::optional<size_t> length;
  size_t bytes = 0;  // with both '%'
};

std::optional<Command> scan(std::string_view text) {
  Command c;
  size_t at = 1;
  while (at < text.size() && is_name_char(text[at])) ++at;
  c.name = text.substr(1, at - 1);
  if (c.name.empty()) return std::nullopt;
  if (at < text.size() && text[at] == '(') {
    const size_t close = text.find(')', at);
    if (close == std::string_view::npos) return std::nullopt;
    c.argument = text.substr(at + 1, close - at - 1);
    at = close + 1;
  }
  if (at < text.size() && text[at] == ':') {
    size_t length = 0;
    const char* const begin = text.data() + at + 1;
    const auto [end, error] = std::from_chars(begin, text.data() + text.size(), length);
    if (error != std::errc()) return std::nullopt;
    c.length = length;
    at += 1 + static_cast<size_t>(end - begin);
  }
  if (at >= text.size() || text[at] != '%') return std::nullopt;
  c.bytes = at + 1;
  return c;
}

void split_names(std::string_view argument, FormatOp& op) {
  const size_t mark = argument.find('?');
  op.text = lower(argument.substr(0, mark));
  if (mark != std::string_view::npos) op.alternative = lower(argument.substr(mark + 1));
  // "?b" asks for b alone.
  if (op.text.empty()) op.text.swap(op.alternative);
}

std::optional<std::string> grpc_style(const Command& command) {
  if (command.name == "GRPC_STATUS_NUMBER") return "NUMBER";
  const std::string_view style = command.argument.value_or("");
  if (style.empty()) return "CAMEL_STRING";
  for (const std::string_view known : {"CAMEL_STRING", "SNAKE_STRING", "NUMBER"}) {
    if (style == known) return std::string(style);
  }
  return std::nullopt;
}

// None where the argument or the length does not fit the operator.
std::optional<FormatOp> make_op(const Operator& spoken, const Command& command) {
  FormatOp op;
  op.kind = spoken.kind;
  op.length_max = command.length.value_or(0);
  const bool may_be_cut = spoken.argument == Argument::header || spoken.argument == Argument::text;
  if (command.length && !may_be_cut) return std::nullopt;
  switch (spoken.argument) {
    case Argument::none:
      if (command.argument) return std::nullopt;
      break;
    case Argument::header:
      if (command.argument.value_or("").empty()) return std::nullopt;
      split_names(*command.argument, op);
      if (op.text.empty()) return std::nullopt;
      break;
    case Argument::text:
      if (command.argument.value_or("").empty()) return std::nullopt;
      op.text = *command.argument;
      break;
    case Argument::time:
    case Argument::optional: op.text = command.argument.value_or(""); break;
  }
  if (op.kind == Kind::environment) {
    const char* const value = std::getenv(op.text.c_str());
    op.text = value != nullptr ? value : "-";
  }
  if (op.kind == Kind::grpc_status) {
    std::optional<std::string> style = grpc_style(command);
    if (!style) return std::nullopt;
    op.text = std::move(*style);
  }
  return op;
}

void add_literal(Format& format, std::string_view text) {
  if (format.ops.empty() || format.ops.back().kind != Kind::literal) format.ops.emplace_back();
  format.ops.back().text += text;
}

}  // namespace

std::expected<Format, std::string> Format::compile(std::string_view text) {
  Format format;
  for (size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    if (rest.front() != '%') {
      const std::string_view literal = rest.substr(0, rest.find('%'));
      add_literal(format, literal);
      at += literal.size();
      continue;
    }
    if (rest.starts_with("%%")) {
      add_literal(format, "%");
      at += 2;
      continue;
    }
    const std::optional<Command> command = scan(rest);
    if (!command) {
      return std::unexpected("the '%' at position " + std::to_string(at) +
                             " begins no operator of the form %NAME(argument):length%; a single '%' is written %%");
    }
    at += command->bytes;
    if (const Operator* spoken = find_operator(command->name); spoken != nullptr) {
      std::optional<FormatOp> op = make_op(*spoken, *command);
      if (!op) {
        return std::unexpected("\"" + std::string(rest.substr(0, command->bytes)) +
                               "\": the argument or the length does not fit the operator");
      }
      // A length of zero leaves nothing of any value.
      if (command->length != size_t{0}) format.ops.push_back(std::move(*op));
    } else {
      format.ops.push_back({Kind::unknown, std::string(command->name), "", 0});
      if (std::ranges::find(format.unknown_operators, command->name) == format.unknown_operators.end()) {
        format.unknown_operators.emplace_back(command->name);
      }
    }
  }
  return format;
}

bool is_number(const FormatOp& op) {
  switch (op.kind) {
    case Kind::duration:
    case Kind::request_duration:
    case Kind::response_duration:
    case Kind::response_tx_duration:
    case Kind::common_duration:
    case Kind::bytes_received:
    case Kind::bytes_sent:
    case Kind::response_code:
    case Kind::upstream_host_port:
    case Kind::upstream_local_port:
    case Kind::upstream_request_attempt_count:
    case Kind::upstream_wire_bytes_sent:
    case Kind::upstream_wire_bytes_received:
    case Kind::downstream_wire_bytes_sent:
    case Kind::downstream_wire_bytes_received:
    case Kind::upstream_header_bytes_sent:
    case Kind::upstream_header_bytes_received:
    case Kind::request_headers_bytes:
    case Kind::response_headers_bytes:
    case Kind::response_trailers_bytes:
    case Kind::downstream_remote_port:
    case Kind::downstream_local_port:
    case Kind::connection_id: return true;
    case Kind::grpc_status: return op.text == "NUMBER";
    default: return false;
  }
}

bool append_value(const FormatOp& op, const FormatSource& source, std::string& out) {
  if (op.kind == Kind::literal || op.kind == Kind::environment) {
    out.append(op.text, 0, op.length_max > 0 ? op.length_max : std::string::npos);
    return true;
  }
  if (op.kind == Kind::unknown) return false;
  const size_t begin = out.size();
  if (!source.append(op, out)) return false;
  if (op.length_max > 0 && out.size() - begin > op.length_max) out.resize(begin + op.length_max);
  return true;
}

void render(const Format& format, const FormatSource& source, std::string_view missing, std::string& out) {
  for (const FormatOp& op : format.ops) {
    if (!append_value(op, source, out)) out += missing;
  }
}

std::string_view default_access_log_format() {
  return "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% "
         "%RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
         "\"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" "
         "\"%UPSTREAM_HOST%\"\n";
}

}  // namespace pillion::config
