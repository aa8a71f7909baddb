// The endpoints of a STRICT_DNS or LOGICAL_DNS cluster: asks for each name again and again, and tells the whole
// assignment whenever an answer changed it. A failure to get an answer changes nothing.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "proxy/config/cluster.h"
#include "proxy/event/executor.h"
#include "proxy/net/resolver.h"

namespace pillion::upstream {

class AssignmentEvents {
 public:
  // Never from inside the constructor.
  virtual void on_assignment(std::shared_ptr<const config::EndpointAssignment> assignment) = 0;
  virtual void on_dns_failure() = 0;  // has_answered() may have become true

 protected:
  ~AssignmentEvents() = default;
};

class Dns {
 public:
  static constexpr Duration kRefreshMin{1'000};        // whatever the TTL
  static constexpr size_t kAddressesPerNameMax = 256;  // the rest of an answer is ignored

  // All outlive the object. LOGICAL_DNS has one name, and of its addresses one at a time: the one in use, as long as
  // answers hold it, so that a name server that shuffles does not make connections drain.
  Dns(event::Executor& executor, net::Resolver& resolver, std::shared_ptr<const config::Cluster> config,
      AssignmentEvents& events);
  ~Dns();

  bool has_answered() const { return unanswered_ == 0; }  // each name was answered once, or failed once

 private:
  class Name;
  void on_answer(bool changed, bool failed, bool first);
  std::shared_ptr<const config::EndpointAssignment> assignment() const;

  event::Executor& executor_;
  net::Resolver& resolver_;
  std::shared_ptr<const config::Cluster> config_;
  AssignmentEvents& events_;
  std::vector<std::unique_ptr<Name>> names_;
  size_t unanswered_ = 0;
  bool told_ = false;
};

}  // namespace pillion::upstream
