#include "proxy/net/cares_resolver.h"

#include <ares.h>
#include <uv.h>

#include <algorithm>
#include <map>
#include <vector>

#include "proxy/base/log.h"
#include "proxy/event/handle.h"

namespace pillion::net {
namespace {

constexpr size_t kAddressesMax = 256;  // of one answer; the rest is ignored

// The library as a whole wants to be initialised before its first channel, by one thread.
int initialise_library() {
  static const int status = ares_library_init(ARES_LIB_INIT_ALL);
  return status;
}

// Which records are asked for, one kind after the other until there are some.
std::vector<int> families_of(DnsFamily family) {
  switch (family) {
    case DnsFamily::v4_only: return {AF_INET};
    case DnsFamily::v6_only: return {AF_INET6};
    case DnsFamily::v4_preferred: return {AF_INET, AF_INET6};
    case DnsFamily::automatic: return {AF_INET6, AF_INET};
    case DnsFamily::all: return {AF_UNSPEC};
  }
  return {AF_UNSPEC};
}

class Query;

// What c-ares holds while it works. It cannot give one query back, so a dropped one is only forgotten.
struct Pending {
  Query* query;
};

class CaresResolver final : public Resolver {
 public:
  explicit CaresResolver(event::Loop& loop) : loop_(loop), timer_(event::Timer::bind<&CaresResolver::on_timer>(this)) {}
  ~CaresResolver() override {
    if (channel_ != nullptr) ares_destroy(channel_);
  }

  int open(const CaresOptions& options) {
    if (const int status = initialise_library(); status != ARES_SUCCESS) return status;
    ares_options o{};
    o.timeout = static_cast<int>(std::max<int64_t>(to_ms(options.timeout), 1));
    o.tries = options.tries;
    o.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
      static_cast<CaresResolver*>(self)->on_socket_state(fd, readable != 0, writable != 0);
    };
    o.sock_state_cb_data = this;
    o.flags = options.use_search_domains ? 0 : ARES_FLAG_NOSEARCH;
    const int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | ARES_OPT_FLAGS;
    if (const int status = ares_init_options(&channel_, &o, mask); status != ARES_SUCCESS) {
      channel_ = nullptr;
      return status;
    }
    return options.servers.empty() ? ARES_SUCCESS : ares_set_servers_ports_csv(channel_, options.servers.c_str());
  }

  std::unique_ptr<Resolution> resolve(const std::string& name, DnsFamily family, ResolveEvents& events) override;

  event::Executor& executor() { return loop_.executor(); }
  void ask(const std::string& name, int family, Pending* pending) {
    ares_addrinfo_hints hints{};
    hints.ai_family = family;
    hints.ai_flags = ARES_AI_NOSORT;
    ares_getaddrinfo(channel_, name.c_str(), nullptr, &hints, on_answer, pending);
    arm_timer();
  }

 private:
  static void on_answer(void* pending, int status, int timeouts, ares_addrinfo* answer);

  void on_socket_state(ares_socket_t fd, bool readable, bool writable) {
    if (!readable && !writable) {
      polls_.erase(fd);
      return;
    }
    event::HandlePtr<uv_poll_t>& poll = polls_[fd];
    if (poll == nullptr) {
      poll = event::make_handle<uv_poll_t>(this);
      if (uv_poll_init_socket(loop_.uv(), &poll->uv, fd) != 0) {
        polls_.erase(fd);  // c-ares learns of it by its timeout
        return;
      }
      poll->initialised = true;
    }
    uv_poll_start(&poll->uv, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0), on_poll);
  }

  static void on_poll(uv_poll_t* uv, int status, int events) {
    auto* const self = static_cast<CaresResolver*>(event::Handle<uv_poll_t>::of(uv)->owner);
    if (self == nullptr) return;
    self->loop_.refresh_now();
    uv_os_fd_t fd = -1;
    if (uv_fileno(reinterpret_cast<uv_handle_t*>(uv), &fd) != 0) return;
    // An error of the socket shows itself when it is read.
    const bool readable = status < 0 || (events & UV_READABLE) != 0;
    const bool writable = status < 0 || (events & UV_WRITABLE) != 0;
    ares_process_fd(self->channel_, readable ? fd : ARES_SOCKET_BAD, writable ? fd : ARES_SOCKET_BAD);
    self->arm_timer();
  }

  void on_timer() {
    ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm_timer();
  }

  void arm_timer() {
    timeval tv{};
    if (ares_timeout(channel_, nullptr, &tv) == nullptr) return timer_.stop();
    const Duration wait{int64_t{tv.tv_sec} * 1'000'000 + tv.tv_usec};
    timer_.start_after(executor().timers, std::max(wait, kTimerMin));
  }

  static constexpr Duration kTimerMin{1'000};
  event::Loop& loop_;
  ares_channel channel_ = nullptr;
  std::map<ares_socket_t, event::HandlePtr<uv_poll_t>> polls_;
  event::Timer timer_;
};

// Answers are told on the executor's turn, never from inside resolve() or c-ares.
class Query final : public Resolution, private event::Steppable {
 public:
  Query(CaresResolver& resolver, std::string name, DnsFamily family, ResolveEvents& events)
      : resolver_(resolver), events_(events), name_(std::move(name)), families_(families_of(family)) {
    if (const std::optional<Address> literal = Address::parse_ip(name_, 0)) {
      result_.addresses.push_back(*literal);
      resolver_.executor().ready(*this);
    } else {
      ask_next();
    }
  }
  ~Query() override {
    if (pending_ != nullptr) pending_->query = nullptr;
  }

  void on_answer(int status, const ares_addrinfo* answer) {
    pending_ = nullptr;
    if (status == ARES_EDESTRUCTION) return;  // the resolver goes, and nobody asks it again
    if (status == ARES_SUCCESS) {
      take(*answer);
    } else if (status != ARES_ENOTFOUND && status != ARES_ENODATA) {
      failure_ = status;
    }
    if (result_.addresses.empty() && asked_ < families_.size()) {
      is_next_due_ = true;
    }
    resolver_.executor().ready(*this);
  }

 private:
  void ask_next() {
    pending_ = new Pending{this};
    resolver_.ask(name_, families_[asked_++], pending_);
  }

  void take(const ares_addrinfo& answer) {
    int ttl = 0;
    for (const ares_addrinfo_node* node = answer.nodes; node != nullptr; node = node->ai_next) {
      std::optional<Address> address = Address::from_sockaddr(node->ai_addr);
      if (!address || !address->is_ip() || result_.addresses.size() >= kAddressesMax) continue;
      address->set_port(0);
      result_.addresses.push_back(*address);
      if (node->ai_ttl > 0 && (ttl == 0 || node->ai_ttl < ttl)) ttl = node->ai_ttl;
    }
    result_.ttl = Duration{int64_t{ttl} * 1'000'000};
  }

  void step() override {
    if (std::exchange(is_next_due_, false)) return ask_next();
    if (result_.addresses.empty() && failure_ != ARES_SUCCESS) {
      events_.on_resolve_failed({failure_ == ARES_ETIMEOUT ? Code::connect_timeout : Code::connect_failed,
                                 Side::upstream, Retry::safe, 0, ares_strerror(failure_)});
    } else {
      events_.on_resolved(result_);
    }
  }

  CaresResolver& resolver_;
  ResolveEvents& events_;
  const std::string name_;
  const std::vector<int> families_;
  size_t asked_ = 0;
  Pending* pending_ = nullptr;  // owned by c-ares
  ResolveResult result_;
  int failure_ = ARES_SUCCESS;
  bool is_next_due_ = false;
};

void CaresResolver::on_answer(void* argument, int status, int, ares_addrinfo* answer) {
  const std::unique_ptr<Pending> pending(static_cast<Pending*>(argument));
  if (pending->query != nullptr) pending->query->on_answer(status, answer);
  if (answer != nullptr) ares_freeaddrinfo(answer);
}

std::unique_ptr<Resolution> CaresResolver::resolve(const std::string& name, DnsFamily family, ResolveEvents& events) {
  return std::make_unique<Query>(*this, name, family, events);
}

}  // namespace

std::unique_ptr<Resolver> make_cares_resolver(event::Loop& loop, const CaresOptions& options) {
  auto resolver = std::make_unique<CaresResolver>(loop);
  if (const int status = resolver->open(options); status != ARES_SUCCESS) {
    PILLION_LOG(error, "the DNS resolver could not be set up: {}", ares_strerror(status));
    return nullptr;
  }
  return resolver;
}

}  // namespace pillion::net
