// The half of timeout.h that is about retries.
#include <algorithm>
#include <limits>

#include "proxy/http/validate.h"
#include "proxy/route/timeout.h"

namespace pillion::route {
namespace {

using http::HeaderId;

constexpr std::string_view kRetriableStatusCodes = "x-envoy-retriable-status-codes";
constexpr std::string_view kRetriableHeaderNames = "x-envoy-retriable-header-names";
constexpr std::string_view kHedge = "x-envoy-hedge-on-per-try-timeout";

constexpr uint32_t kGrpcBits = static_cast<uint32_t>(config::RetryOn::grpc_cancelled) |
                               static_cast<uint32_t>(config::RetryOn::grpc_deadline_exceeded) |
                               static_cast<uint32_t>(config::RetryOn::grpc_internal) |
                               static_cast<uint32_t>(config::RetryOn::grpc_resource_exhausted) |
                               static_cast<uint32_t>(config::RetryOn::grpc_unavailable);

struct RetryHeaders {
  std::string_view on, grpc_on, retries_max, status_codes, header_names;
  bool any = false;
};

std::string_view take(std::string_view name, http::HeaderMap& headers, bool& any) {
  const http::Header* const found = headers.find(name);
  if (found == nullptr) return {};
  const std::string_view value = found->value;
  headers.remove(name);
  any = true;
  return value;
}

// The views stay valid: fields point into the arena.
RetryHeaders take_all(http::HeaderMap& headers) {
  RetryHeaders taken;
  taken.on = take(http::header_name(HeaderId::x_envoy_retry_on), headers, taken.any);
  taken.grpc_on = take(http::header_name(HeaderId::x_envoy_retry_grpc_on), headers, taken.any);
  taken.retries_max = take(http::header_name(HeaderId::x_envoy_max_retries), headers, taken.any);
  taken.status_codes = take(kRetriableStatusCodes, headers, taken.any);
  taken.header_names = take(kRetriableHeaderNames, headers, taken.any);
  take(kHedge, headers, taken.any);
  return taken;
}

// Most requests have none of them, and one pass over the fields says so.
bool may_have_any(const http::HeaderMap& headers) {
  static constexpr std::string_view kPrefix = "x-envoy-";
  return std::ranges::any_of(headers, [](const http::Header& h) {
    return h.name.size() > kPrefix.size() && http::equals_ignore_case(h.name.substr(0, kPrefix.size()), kPrefix);
  });
}

void merge(const RetryHeaders& taken, config::RetryPolicy& policy) {
  policy.on |= config::parse_retry_on(taken.on, nullptr) & ~kGrpcBits;
  policy.on |= config::parse_retry_on(taken.grpc_on, nullptr) & kGrpcBits;
  if (const auto n = http::parse_decimal(taken.retries_max); n) {
    policy.retries_max = static_cast<uint32_t>(std::min<uint64_t>(*n, std::numeric_limits<uint32_t>::max()));
  }
  for (std::string_view list = taken.status_codes; !list.empty();) {
    const auto code = http::parse_decimal(http::next_element(list));
    if (code && *code < 1000) policy.retriable_status_codes.push_back(static_cast<uint16_t>(*code));
  }
  for (std::string_view list = taken.header_names; !list.empty();) {
    config::HeaderMatcher present;
    present.name = http::next_element(list);
    std::ranges::transform(present.name, present.name.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    if (!present.name.empty()) policy.retriable_headers.push_back(std::move(present));
  }
}

bool may_retry(const config::RetryPolicy& policy, const http::RequestHead& head) {
  if (policy.on == 0) return false;
  return policy.retriable_request_headers.empty() ||
         std::ranges::any_of(policy.retriable_request_headers,
                             [&head](const config::HeaderMatcher& m) { return m.matches_request(head); });
}

}  // namespace

const config::RetryPolicy* take_retry_policy(const config::RetryPolicy* configured, bool trusted,
                                             http::RequestHead& head, std::optional<config::RetryPolicy>& merged) {
  const config::RetryPolicy* policy = configured;
  if (may_have_any(head.headers)) {
    const RetryHeaders taken = take_all(head.headers);
    if (trusted && taken.any) {
      merged = configured != nullptr ? *configured : config::RetryPolicy{};
      merge(taken, *merged);
      policy = &*merged;
    }
  }
  return policy != nullptr && may_retry(*policy, head) ? policy : nullptr;
}

}  // namespace pillion::route
