#include "proxy/rpc/target.h"

#include <algorithm>
#include <charconv>

namespace pillion::rpc {

std::optional<Target> Target::parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  Target target;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), target.port);
  if (error != std::errc() || end != port.data() + port.size() || target.port == 0) return std::nullopt;
  const bool is_bracketed = host.starts_with('[') && host.ends_with(']');
  if (is_bracketed) host = host.substr(1, host.size() - 2);
  if (is_bracketed != (host.find(':') != std::string_view::npos)) return std::nullopt;
  target.host = host;
  if (const auto address = Address::parse_ip(host, target.port)) {
    target.address = *address;
  } else if (is_bracketed || host.find_first_of("[]/@ ") != std::string_view::npos) {
    return std::nullopt;
  }
  return target;
}

std::string Target::authority() const {
  const bool is_v6 = host.find(':') != std::string::npos;
  return (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Connector::Connector(event::Executor& executor, net::Dialer& dialer, net::Resolver& resolver, ConnectEvents& events)
    : executor_(executor),
      dialer_(dialer),
      resolver_(resolver),
      events_(events),
      timer_(event::Timer::bind<&Connector::on_timeout>(this)) {}

void Connector::start(const Target& target, const net::DialOptions& options) {
  target_ = target;
  options_ = options;
  last_error_.clear();
  addresses_.clear();
  timer_.start_after(executor_.timers, options.connect_timeout);
  if (!target.address.is_none()) {
    addresses_.push_back(target.address);
    executor_.ready(*this);
    return;
  }
  resolution_ = resolver_.resolve(target.host, net::DnsFamily::all, *this);
}

void Connector::on_resolved(const net::ResolveResult& result) {
  for (const Address& found : result.addresses) {
    if (addresses_.size() == kAddressesMax) break;
    Address address = found;
    address.set_port(target_.port);
    addresses_.push_back(std::move(address));
  }
  std::reverse(addresses_.begin(), addresses_.end());
  if (addresses_.empty()) last_error_ = "the name has no addresses";
  executor_.ready(*this);
}

void Connector::on_resolve_failed(const Error& why) {
  last_error_ = to_string(why);
  executor_.ready(*this);
}

// Tries the next address; not from inside an event of the last dial, which is dropped here.
void Connector::step() {
  resolution_.reset();
  dial_.reset();
  if (addresses_.empty()) return fail(last_error_);
  options_.remote = addresses_.back();
  addresses_.pop_back();
  dial_ = dialer_.dial(options_, *this);
}

void Connector::on_dialed(net::TransportPtr transport) {
  timer_.stop();
  if (options_.tls != nullptr && transport->tls() == nullptr) {
    return fail("the dialer made no TLS connection");  // never plain text where TLS was asked for
  }
  events_.on_connected(std::move(transport));
}

void Connector::on_dial_failed(const Error& why) {
  last_error_ = options_.remote.to_string() + ": " + to_string(why);
  executor_.ready(*this);
}

void Connector::on_timeout() {
  resolution_.reset();
  dial_.reset();
  event::Steppable::unlink();
  fail(last_error_.empty() ? "no connection in time" : last_error_);
}

void Connector::fail(std::string why) {
  timer_.stop();
  events_.on_connect_failed("connecting to " + target_.authority() + ": " + why);
}

}  // namespace pillion::rpc
