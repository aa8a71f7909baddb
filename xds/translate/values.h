// Small values of the API that many messages hold.
#pragma once

#include <google/protobuf/duration.pb.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/address.h"
#include "proxy/base/time.h"
#include "proxy/config/format.h"
#include "xds/translate/context.h"

namespace envoy::config::core::v3 {
class Address;
class CidrRange;
class ConfigSource;
class DataSource;
class RuntimeFractionalPercent;
class SocketAddress;
}  // namespace envoy::config::core::v3
namespace envoy::type::v3 {
class Percent;
}

namespace pillion::xds {

std::string to_lower(std::string_view text);

// Negative ones and such beyond 10'000 years are errors of the message's constraints, or reported here.
Duration to_duration(Context& cx, const google::protobuf::Duration& duration);

// `name` of `message`, a Duration, if it is set.
#define PILLION_SET_DURATION(cx, message, name, out)               \
  do {                                                             \
    if ((message).has_##name()) {                                  \
      const auto at_ = (cx).field(#name);                          \
      (out) = ::pillion::xds::to_duration((cx), (message).name()); \
    }                                                              \
  } while (0)
// `name` of `message`, a wrapper of a number or a bool, if it is set.
#define PILLION_SET_WRAPPER(message, name, out)                   \
  do {                                                            \
    if ((message).has_##name()) (out) = (message).name().value(); \
  } while (0)

// An IP address or the path of a Unix socket.
Address to_address(Context& cx, const envoy::config::core::v3::Address& address);
Address to_address(Context& cx, const envoy::config::core::v3::SocketAddress& address);
Cidr to_cidr(Context& cx, const envoy::config::core::v3::CidrRange& range);
template <class Ranges>
std::vector<Cidr> to_cidrs(Context& cx, std::string_view field, const Ranges& ranges) {
  const auto at = cx.field(field);
  std::vector<Cidr> out;
  for (const auto& range : ranges) {
    const auto in = cx.index(out.size());
    out.push_back(to_cidr(cx, range));
  }
  return out;
}

inline constexpr size_t kMaxDataSourceBytes = 1u << 20;

// The bytes of a data source; a file is read, an environment variable looked up. Empty after an error.
std::string read_data_source(Context& cx, const envoy::config::core::v3::DataSource& source);

// 0..100 as a whole number.
uint32_t to_percent(const envoy::type::v3::Percent& percent);

struct FractionalParts {
  uint32_t numerator;
  uint32_t denominator;
};
FractionalParts to_fraction(const envoy::config::core::v3::RuntimeFractionalPercent& fraction);

// A format of access logs and header values. Operators that Envoy does not know either are errors.
config::Format to_format(Context& cx, std::string_view text);

// A source of resources that must be the ADS stream.
void expect_ads(Context& cx, const envoy::config::core::v3::ConfigSource& source);

}  // namespace pillion::xds
