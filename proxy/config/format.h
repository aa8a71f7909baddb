// Substitution formats of access logs and header values (`%REQ(:path)% took %DURATION%`), compiled to a list of
// operations when configuration is read. Who has the values (downstream/access_log, route/header_mutation) renders
// them.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pillion::config {

struct FormatOp {
  enum class Kind : uint8_t {
    literal,
    req,         // %REQ(a?b):n%
    resp,        // %RESP(a?b):n%
    trailer,     // %TRAILER(a?b):n%
    start_time,  // %START_TIME(format)%
    duration,
    request_duration,
    response_duration,
    response_tx_duration,
    common_duration,  // %COMMON_DURATION(from:to:unit)%: `text` is the argument
    bytes_received,
    bytes_sent,
    protocol,
    response_code,
    response_code_details,
    response_flags,
    response_flags_long,
    route_name,
    virtual_cluster_name,
    upstream_host,  // the endpoint's address; also %UPSTREAM_REMOTE_ADDRESS%
    upstream_host_without_port,
    upstream_host_port,
    upstream_host_name,  // as configured, where it has a name
    upstream_cluster,
    upstream_local_address,
    upstream_local_address_without_port,
    upstream_local_port,
    upstream_transport_failure_reason,
    upstream_request_attempt_count,
    upstream_protocol,
    upstream_wire_bytes_sent,
    upstream_wire_bytes_received,
    downstream_wire_bytes_sent,
    downstream_wire_bytes_received,
    upstream_header_bytes_sent,
    upstream_header_bytes_received,
    request_headers_bytes,  // names and values of the head, as the exchange has them
    response_headers_bytes,
    response_trailers_bytes,
    downstream_remote_address,
    downstream_remote_address_without_port,
    downstream_remote_port,
    downstream_direct_remote_address,
    downstream_direct_remote_address_without_port,
    downstream_local_address,
    downstream_local_address_without_port,
    downstream_local_port,
    requested_server_name,
    downstream_peer_uri_san,
    downstream_local_uri_san,
    downstream_peer_subject,
    downstream_peer_fingerprint,
    downstream_tls_version,
    downstream_tls_cipher,
    downstream_peer_cert,
    downstream_transport_failure_reason,
    upstream_peer_uri_san,
    upstream_tls_version,
    upstream_tls_cipher,
    hostname,
    connection_id,
    stream_id,
    grpc_status,  // `text`: "CAMEL_STRING", "SNAKE_STRING" or "NUMBER"
    connection_termination_details,
    filter_chain_name,
    dynamic_metadata,  // %DYNAMIC_METADATA(ns:key)%
    environment,       // resolved when compiled: `text` is the variable's value, "-" where it is not set
    failure_sentence,  // %PILLION_FAILURE%: who failed and why, in plain words
    attempts,          // %PILLION_ATTEMPTS%: every try with its endpoint, outcome and milliseconds
    unknown,           // an operator not spoken here: renders "-" and is warned about once
  };
  Kind kind = Kind::literal;
  std::string text;  // literal; the first name of req/resp/trailer (lower case); start_time's format; metadata path
  std::string alternative;  // the name after '?'
  size_t length_max = 0;    // bytes; 0 = whole
};
// Counts, durations in milliseconds, ports and the status code are numbers, also in JSON.
bool is_number(const FormatOp& op);

struct Format {
  std::vector<FormatOp> ops;
  std::vector<std::string> unknown_operators;
  // An unbalanced '%' or a malformed argument is an error; an unknown operator is not (it renders "-").
  static std::expected<Format, std::string> compile(std::string_view text);
};

// Where the values of the operators come from: downstream/format_values has those of an exchange.
class FormatSource {
 public:
  // Appends the operator's value, whole; false, and nothing appended, where there is none. Not asked for literals.
  virtual bool append(const FormatOp& op, std::string& out) const = 0;

 protected:
  ~FormatSource() = default;
};

// Appends what one operator or literal gives, cut to its length; false, and nothing appended, where there is no value.
bool append_value(const FormatOp& op, const FormatSource& source, std::string& out);

// Appends the whole line; an operator without a value gives `missing` ("-" in logs, "" in header values).
void render(const Format& format, const FormatSource& source, std::string_view missing, std::string& out);

// One log line: text, or a JSON object whose leaves are formats (keys in order, nesting by dots is not flattened).
// A field is what comes first of: a format, a constant, and its children.
struct JsonFormat {
  struct Field {
    std::string key;
    std::optional<Format> value;  // a leaf
    std::vector<Field> children;  // an object where there is no leaf
    std::string raw;              // a number, true, false or null of the configuration, to be written as it is
    bool is_list = false;         // the children are items, their keys empty
  };
  std::vector<Field> fields;
};

// Appends a JSON object and a newline. A leaf of one operator keeps its type, and is null where there is no value; in a
// leaf of several parts "-" stands for what is missing. With `omit_empty` what is null, and an object without fields,
// is left out, and missing parts are "". Bytes that are not UTF-8 are shown as \u00XX.
void render_json(const JsonFormat& format, const FormatSource& source, bool omit_empty, std::string& out);

// Appends `wall_us` in UTC. `format` is that of strftime with fractions of a second (%f has nine digits, %3f has three,
// …), %s for seconds since the epoch and %E3S for seconds with a fraction; "" is 2026-11-24T09:30:00.123Z.
void format_time(int64_t wall_us, std::string_view format, std::string& out);

// Envoy's default access-log line, format string and newline included.
std::string_view default_access_log_format();

}  // namespace pillion::config
