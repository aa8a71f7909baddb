// The values of the format operators for one exchange: access logs and header values draw on the same source.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/config/format.h"
#include "proxy/filter/record.h"

namespace pillion::downstream {

// Borrows the record for the length of a call. Durations are known once the exchange is complete.
class ExchangeValues final : public config::FormatSource {
 public:
  explicit ExchangeValues(const filter::ExchangeRecord& record) : record_(record) {}
  bool append(const config::FormatOp& op, std::string& out) const override;

 private:
  bool append_time(const config::FormatOp& op, std::string& out) const;
  bool append_message(const config::FormatOp& op, std::string& out) const;
  bool append_address(const config::FormatOp& op, std::string& out) const;
  bool append_tls(const config::FormatOp& op, std::string& out) const;

  const filter::ExchangeRecord& record_;
};

// Response flags as bits in the order of Envoy's list.
uint32_t response_flags(const filter::ExchangeRecord& record);
// "UF,URX" or "UpstreamConnectionFailure,UpstreamRetryLimitExceeded"; false, and nothing appended, where none is set.
bool append_flags(uint32_t flags, bool long_names, std::string& out);
// The bit of "UF"; 0 for a name that is not known.
uint32_t flag_bit(std::string_view letters);

// "cluster web: endpoint 10.0.0.3:80 refused the connection (ECONNREFUSED), 2 attempts"; "" where nothing failed.
std::string failure_sentence(const filter::ExchangeRecord& record);

}  // namespace pillion::downstream
