// The fault filter's message into its settings.
#include "filters/http/fault_config.h"

#include <envoy/extensions/filters/http/fault/v3/fault.pb.h>

#include "filters/http/fault.h"
#include "xds/translate/matchers.h"
#include "xds/translate/values.h"

namespace pillion::filters {
namespace {

namespace fault = envoy::extensions::filters::http::fault::v3;
namespace common = envoy::extensions::filters::common::fault::v3;
using envoy::type::v3::FractionalPercent;

constexpr const char* kType = "envoy.extensions.filters.http.fault.v3.HTTPFault";

// Runtime keys, dynamic metadata and the response's rate limit have no meaning here. We have no counters per downstream
// cluster that could be switched off.
constexpr xds::KnownFields kKnown[] = {
    {kType, "delay abort upstream_cluster headers downstream_nodes max_active_faults disable_downstream_cluster_stats"},
    {"envoy.extensions.filters.http.fault.v3.FaultAbort", "http_status grpc_status header_abort percentage"},
    {"envoy.extensions.filters.common.fault.v3.FaultDelay", "fixed_delay header_delay percentage"},
};

// One that is not set is 0 %.
config::FractionalPercent to_share(const FractionalPercent& in) {
  config::FractionalPercent out{.numerator = in.numerator(), .denominator = 100};
  if (in.denominator() == FractionalPercent::TEN_THOUSAND) out.denominator = 10'000;
  if (in.denominator() == FractionalPercent::MILLION) out.denominator = 1'000'000;
  return out;
}

FaultDelay to_delay(xds::Context& cx, const common::FaultDelay& in) {
  const auto at = cx.field("delay");
  FaultDelay out;
  PILLION_SET_DURATION(cx, in, fixed_delay, out.fixed);
  out.by_header = in.has_header_delay();
  out.share = to_share(in.percentage());
  return out;
}

FaultAbort to_abort(const fault::FaultAbort& in) {
  FaultAbort out;
  if (in.error_type_case() == fault::FaultAbort::kHttpStatus) out.http_status = static_cast<uint16_t>(in.http_status());
  if (in.error_type_case() == fault::FaultAbort::kGrpcStatus) out.grpc_status = static_cast<int>(in.grpc_status());
  out.by_header = in.has_header_abort();
  out.share = to_share(in.percentage());
  return out;
}

std::expected<std::shared_ptr<const config::FilterConfig>, ConfigError> compile(
    const google::protobuf::Message& message, std::string_view path) {
  const auto& in = static_cast<const fault::HTTPFault&>(message);
  const xds::TranslationOptions options;
  xds::Context cx(options, path, 1);
  FaultSettings out;
  if (in.has_delay()) out.delay = to_delay(cx, in.delay());
  if (in.has_abort()) out.abort = to_abort(in.abort());
  out.upstream_cluster = in.upstream_cluster();
  out.headers = xds::to_header_matchers(cx, "headers", in.headers());
  out.downstream_nodes.insert(in.downstream_nodes().begin(), in.downstream_nodes().end());
  if (in.has_max_active_faults()) out.active_faults_max = in.max_active_faults().value();
  if (cx.failed()) return std::unexpected(std::move(cx.take_errors().front()));
  return std::make_shared<const FaultConfig>(std::move(out));
}

}  // namespace

xds::FilterType fault_filter() {
  return {.name = "envoy.filters.http.fault",
          .config_type = kType,
          .compile = compile,
          .route_type = kType,
          .compile_route = compile,
          .known = kKnown};
}

}  // namespace pillion::filters
