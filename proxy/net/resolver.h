// Names to addresses. The real one is c-ares on the loop (net/cares_resolver); tests/sim has a table.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/base/address.h"
#include "proxy/base/error.h"
#include "proxy/base/time.h"

namespace pillion::net {

enum class DnsFamily : uint8_t { v4_only, v6_only, v4_preferred, all, automatic };  // xDS Cluster.DnsLookupFamily

struct ResolveResult {
  std::vector<Address> addresses;  // port 0
  Duration ttl{};                  // the smallest of the records
};

class ResolveEvents {
 public:
  virtual void on_resolved(
      const ResolveResult& result) = 0;                  // empty: the name exists without such records, or NXDOMAIN
  virtual void on_resolve_failed(const Error& why) = 0;  // no answer: keep what you have

 protected:
  ~ResolveEvents() = default;
};

// Dropping it cancels. No event comes from inside resolve().
class Resolution {
 public:
  virtual ~Resolution() = default;
};

class Resolver {
 public:
  virtual ~Resolver() = default;
  [[nodiscard]] virtual std::unique_ptr<Resolution> resolve(const std::string& name, DnsFamily family,
                                                            ResolveEvents& events) = 0;
};

}  // namespace pillion::net
