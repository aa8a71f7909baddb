// The Dialer over real sockets.
#pragma once

#include <memory>

#include "proxy/event/loop.h"
#include "proxy/net/dialer.h"

namespace pillion::net {

class TcpDialer final : public Dialer {
 public:
  explicit TcpDialer(event::Loop& loop) : loop_(loop) {}
  [[nodiscard]] std::unique_ptr<Dial> dial(const DialOptions& options, DialEvents& events) override;

 private:
  event::Loop& loop_;
};

}  // namespace pillion::net
