#include "filters/http/fault.h"

#include <algorithm>

#include "proxy/http/validate.h"

namespace pillion::filters {
namespace {

using filter::Verdict;

enum Stat : size_t { kDelays, kAborts, kOverflow, kActive };
constexpr filter::FilterStat kStats[] = {{"fault.delays_injected"},
                                         {"fault.aborts_injected"},
                                         {"fault.faults_overflow"},
                                         {"fault.active_faults", StatKind::gauge}};

// What a client may ask for, where the configuration lets it.
constexpr std::string_view kDelayHeader = "x-envoy-fault-delay-request";
constexpr std::string_view kDelayShareHeader = "x-envoy-fault-delay-request-percentage";
constexpr std::string_view kAbortHeader = "x-envoy-fault-abort-request";
constexpr std::string_view kAbortGrpcHeader = "x-envoy-fault-abort-grpc-request";
constexpr std::string_view kAbortShareHeader = "x-envoy-fault-abort-request-percentage";
constexpr std::string_view kNodeHeader = "x-envoy-downstream-service-node";
constexpr uint64_t kLongestDelayMs = uint64_t{1} << 40;

// The first value counts; none where it is absent or no number.
std::optional<uint64_t> number_in(const http::RequestHead& head, std::string_view name) {
  const http::Header* const found = head.headers.find(name);
  return found == nullptr ? std::nullopt : http::parse_decimal(found->value);
}

struct AbortWith {
  uint16_t http_status;
  int grpc_status;
};

class FaultFilter final : public filter::Filter {
 public:
  FaultFilter(const FaultConfig& config, filter::FilterContext& context)
      : config_(config), context_(context), timer_(event::Timer::bind<&FaultFilter::on_delay_over>(this)) {
    const auto* of_route = dynamic_cast<const FaultConfig*>(context.route_config());
    settings_ = of_route != nullptr ? &of_route->settings() : &config.settings();
  }

  filter::Hooks hooks() const override { return filter::Hook::request_head | filter::Hook::complete; }

  Verdict on_request_head(http::RequestHead& head, bool) override {
    if (!concerns(head)) return {};
    decide_abort(head);
    const std::optional<Duration> delay = delay_of(head);
    if (delay && begin()) {
      context_.count(kDelays);
      context_.tell_delay_injected();
      ticket_ = context_.ticket(filter::Direction::request);
      timer_.start_after(context_.executor().timers, *delay);
      return Verdict::stop();
    }
    return abort_or_proceed();
  }

  Verdict on_resume(filter::Direction) override {
    const Verdict verdict = abort_or_proceed();
    if (verdict.kind == Verdict::Kind::proceed) end();  // the request goes its way like any other
    return verdict;
  }

  void on_complete(const filter::ExchangeRecord&) override { end(); }

 private:
  bool concerns(const http::RequestHead& head) const {
    if (!settings_->upstream_cluster.empty() && context_.cluster_name() != settings_->upstream_cluster) return false;
    if (!settings_->downstream_nodes.empty()) {
      const http::Header* const node = head.headers.find(kNodeHeader);
      if (node == nullptr || !settings_->downstream_nodes.contains(node->value)) return false;
    }
    return std::all_of(settings_->headers.begin(), settings_->headers.end(),
                       [&head](const config::HeaderMatcher& matcher) { return matcher.matches_request(head); });
  }

  // A header may lower the share that is configured, not raise it.
  bool is_drawn(const config::FractionalPercent& share, std::optional<uint64_t> asked) const {
    const uint64_t numerator = asked ? std::min<uint64_t>(*asked, share.numerator) : share.numerator;
    return context_.executor().random.below(share.denominator) < numerator;
  }

  std::optional<Duration> delay_of(const http::RequestHead& head) const {
    if (!settings_->delay) return std::nullopt;
    const FaultDelay& delay = *settings_->delay;
    if (!is_drawn(delay.share, delay.by_header ? number_in(head, kDelayShareHeader) : std::nullopt)) {
      return std::nullopt;
    }
    if (!delay.by_header) return delay.fixed;
    const std::optional<uint64_t> ms = number_in(head, kDelayHeader);
    if (!ms || *ms == 0) return std::nullopt;
    return std::chrono::milliseconds(std::min(*ms, kLongestDelayMs));
  }

  // Chance decides now; the answer is given after the delay, if there is one.
  void decide_abort(const http::RequestHead& head) {
    if (!settings_->abort) return;
    const FaultAbort& abort = *settings_->abort;
    if (!is_drawn(abort.share, abort.by_header ? number_in(head, kAbortShareHeader) : std::nullopt)) return;
    if (!abort.by_header) {
      abort_ = abort.http_status != 0 ? AbortWith{abort.http_status, -1} : AbortWith{200, abort.grpc_status};
      return;
    }
    const std::optional<uint64_t> status = number_in(head, kAbortHeader);
    if (status && *status >= 200 && *status < 600) {
      abort_ = AbortWith{static_cast<uint16_t>(*status), -1};
    } else if (const std::optional<uint64_t> grpc = number_in(head, kAbortGrpcHeader); grpc && *grpc <= INT32_MAX) {
      abort_ = AbortWith{200, static_cast<int>(*grpc)};
    }
  }

  Verdict abort_or_proceed() {
    if (!abort_ || !begin()) return {};
    context_.count(kAborts);
    const auto* const answer =
        context_.arena().make<filter::LocalReply>(filter::LocalReply{.status = abort_->http_status,
                                                                     .body = "fault filter abort",
                                                                     .details = "fault_filter_abort",
                                                                     .grpc_status = abort_->grpc_status});
    return Verdict::reply(*answer, {Code::fault_injected, Side::local, Retry::never, 0, "the fault filter's abort"});
  }

  // A request's delay and abort are one active fault.
  bool begin() {
    if (active_) return true;
    if (!config_.may_begin(settings_->active_faults_max)) {
      context_.count(kOverflow);
      return false;
    }
    active_ = true;
    config_.on_begin();
    context_.count(kActive);
    return true;
  }

  void end() {
    if (!std::exchange(active_, false)) return;
    config_.on_end();
    context_.uncount(kActive);
  }

  void on_delay_over() { ticket_.resume(); }

  const FaultConfig& config_;
  filter::FilterContext& context_;
  const FaultSettings* settings_;
  std::optional<AbortWith> abort_;
  filter::Ticket ticket_;
  event::Timer timer_;
  bool active_ = false;
};

}  // namespace

std::unique_ptr<filter::Filter> FaultConfig::make(filter::FilterContext& context) const {
  return std::make_unique<FaultFilter>(*this, context);
}

std::span<const filter::FilterStat> FaultConfig::stats() const {
  return kStats;
}

}  // namespace pillion::filters
