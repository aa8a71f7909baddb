#include "proxy/route/attempt.h"

#include <charconv>

#include "proxy/base/check.h"
#include "proxy/route/mutation.h"

namespace pillion::route {

using upstream::Outcome;

namespace {

constexpr std::string_view kOriginalDstHeader = "x-envoy-original-dst-host";

}  // namespace

Attempt::Attempt(AttemptEvents& events, upstream::Cluster& cluster, event::Executor& executor)
    : events_(events),
      cluster_(cluster),
      pin_(cluster.context()),
      executor_(executor),
      per_try_timer_(event::Timer::bind<&Attempt::on_per_try_timeout>(this)),
      per_try_idle_timer_(event::Timer::bind<&Attempt::on_per_try_idle>(this)) {}

Attempt::~Attempt() {
  cancel(Code::local_close);
}

// === request ===

void Attempt::start(const http::RequestHead& head, bool end, const AttemptOptions& options) {
  PILLION_CHECK(state_ == State::created);
  state_ = State::waiting;
  started_ = executor_.now();
  request_ = &head;
  request_ends_with_head_ = end;
  options_ = options;
  if (options.per_try_timeout.count() > 0) per_try_timer_.start_after(executor_.timers, options.per_try_timeout);
  const config::Cluster& config = cluster_.config();
  if (config.type == config::Cluster::Type::original_dst && config.original_dst_use_header) {
    if (const http::Header* named = head.headers.find(kOriginalDstHeader)) {
      options_.pick.original_destination = Address::parse(named->value).value_or(Address());
    }
  }
  if (cluster_.must_wait()) {
    cluster_.wait(*this);
  } else {
    pick();
  }
}

void Attempt::pick() {
  const Expected<upstream::Endpoint*> picked = cluster_.pick(options_.pick);
  if (!picked) return fail(picked.error());
  endpoint_ = *picked;
  endpoint_ref_.set(endpoint_);
  address_ = endpoint_->address();
  const Expected<upstream::Connection*> got = acquire();
  if (!got) return fail(got.error());
  if (*got != nullptr) on_connection(**got);
}

Expected<upstream::Connection*> Attempt::acquire() {
  config::Cluster::Protocol protocol = cluster_.config().protocol;
  if (protocol == config::Cluster::Protocol::downstream) {
    protocol = options_.downstream_version == http::Version::http2 ? config::Cluster::Protocol::http2
                                                                   : config::Cluster::Protocol::http1;
  }
  const Expected<upstream::Pool*> pool = endpoint_->http_pool(protocol, server_name());
  if (!pool) return std::unexpected(pool.error());
  return (*pool)->acquire(*this, options_.pick.priority);
}

// The authority's host, without its port; none where it is an address, since TLS names hosts only (RFC 6066 3).
upstream::ServerName Attempt::server_name() const {
  const config::Cluster& config = cluster_.config();
  if (endpoint_->target().tls() == nullptr || (!config.auto_sni && !config.auto_san_validation)) return {};
  std::string_view host = request_->authority;
  if (options_.auto_host_rewrite && !endpoint_->config().hostname.empty()) host = *endpoint_->config().hostname;
  if (host.starts_with('[')) return {};
  host = host.substr(0, host.rfind(':'));
  if (Address::parse_ip(host, 0)) return {};
  upstream::ServerName lower(host);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

void Attempt::on_connection(upstream::Connection& connection) {
  PILLION_CHECK(state_ == State::waiting);
  const uint32_t priority = options_.pick.priority;
  request_slot_ =
      upstream::BreakerSlot::take(cluster_.counts(priority).requests, cluster_.limits(priority).requests_max);
  if (!request_slot_) {
    cluster_.add_stat(cluster_.stats().upstream_rq_active_overflow);
    return fail({Code::overflow, Side::local, Retry::never, 0, "circuit breaker: max_requests"});
  }
  state_ = State::open;
  connection_ = &connection;
  version_ = connection.version();
  local_address_ = connection.transport().local_address();
  stream_ = &connection.start(*this);
  reused_ = connection.is_reused();
  write_mark_ = connection.write_mark();
  const http::RequestHead* head = request_;
  if (options_.auto_host_rewrite && endpoint_ != nullptr && !endpoint_->config().hostname.empty()) {
    rewritten_.emplace(*request_);
    rewrite_authority(events_.arena().copy(*endpoint_->config().hostname), options_.append_x_forwarded_host,
                      options_.suppress_envoy_headers, *rewritten_);
    head = &*rewritten_;
  }
  cluster_.add_stat(cluster_.stats().upstream_rq_total);
  cluster_.add_stat(cluster_.stats().upstream_rq_active);
  endpoint_->shared().active_requests.fetch_add(1, std::memory_order_relaxed);
  endpoint_->shared().requests_total.fetch_add(1, std::memory_order_relaxed);
  counted_active_ = true;
  head_sent_ = true;
  request_sent_ = request_ends_with_head_;
  stream_->send_head(*head, request_ends_with_head_);
  if (options_.per_try_idle_timeout.count() > 0) {
    per_try_idle_timer_.start_after(executor_.timers, options_.per_try_idle_timeout);
  }
  connection_->touch();
  events_.on_attempt_progress();
}

void Attempt::send_body(Chain&& data, bool end) {
  PILLION_DCHECK(can_send());
  stream_->send_body(std::move(data), end);
  request_sent_ = end;
  connection_->touch();
}

void Attempt::send_trailers(const http::HeaderMap& trailers) {
  PILLION_DCHECK(can_send());
  stream_->send_trailers(trailers);
  request_sent_ = true;
  connection_->touch();
}

// === response ===

void Attempt::on_informational(http::ResponseHead&& h) {
  informational.push_back(std::move(h));
  events_.on_attempt_progress();
}

void Attempt::on_response_head(http::ResponseHead&& h, bool end) {
  per_try_timer_.stop();
  if (per_try_idle_timer_.is_armed()) {
    per_try_idle_timer_.start_after(executor_.timers, options_.per_try_idle_timeout);
  }
  Outcome outcome{.kind = Outcome::Kind::response, .status = h.status};
  const http::Header* grpc = h.headers.find(http::HeaderId::grpc_status);
  if (grpc != nullptr) {
    std::from_chars(grpc->value.data(), grpc->value.data() + grpc->value.size(), outcome.grpc_status);
  }
  report(outcome);
  count_response(h.status);
  head.emplace(std::move(h));
  if (end) end_response();
  events_.on_attempt_progress();
}

void Attempt::count_response(uint16_t status) const {
  const upstream::ClusterStats& stats = cluster_.stats();
  cluster_.add_stat(stats.upstream_rq_completed);
  cluster_.context().count_status(status);
  switch (status / 100) {
    case 1: return cluster_.add_stat(stats.upstream_rq_1xx);
    case 2: return cluster_.add_stat(stats.upstream_rq_2xx);
    case 3: return cluster_.add_stat(stats.upstream_rq_3xx);
    case 4: return cluster_.add_stat(stats.upstream_rq_4xx);
    default: return cluster_.add_stat(stats.upstream_rq_5xx);
  }
}

void Attempt::on_body(Chain&& data, bool end) {
  if (per_try_idle_timer_.is_armed()) {
    per_try_idle_timer_.start_after(executor_.timers, options_.per_try_idle_timeout);
  }
  body.append(std::move(data));
  if (end) end_response();
  events_.on_attempt_progress();
}

void Attempt::on_trailers(http::HeaderMap&& t) {
  trailers.emplace(std::move(t));
  end_response();
  events_.on_attempt_progress();
}

void Attempt::end_response() {
  response_ended = true;
  executor_.stats.record(cluster_.stats().upstream_rq_time, static_cast<uint64_t>(to_ms(executor_.now() - started_)));
  per_try_idle_timer_.stop();
  if (request_sent_) {
    state_ = State::ended;
    release_stream();
  }
}

void Attempt::consume(size_t bytes) {
  if (stream_ != nullptr && bytes > 0) {
    stream_->consume(bytes);
    connection_->touch();
  }
}

void Attempt::pause_reading() {
  if (connection_ == nullptr || paused_) return;
  paused_ = true;
  connection_->pause_reading();
}

void Attempt::resume_reading() {
  if (!paused_) return;
  paused_ = false;
  if (connection_ != nullptr) connection_->resume_reading();
}

// === failure ===

void Attempt::on_pool_failure(const Error& why) {
  reported_ = true;  // the pool reported the dial itself
  fail(why);
}

void Attempt::on_reset(const Error& why) {
  if (reused_ && !head && why.retry == Retry::if_reused) unseen_ = connection_->was_unseen_since(write_mark_);
  if (!response_ended) report({.kind = Outcome::Kind::reset});
  release_stream();  // the codec has told its last
  if (why.side == Side::upstream) cluster_.add_stat(cluster_.stats().upstream_rq_rx_reset);
  fail(why);
}

void Attempt::on_per_try_timeout() {
  cluster_.add_stat(cluster_.stats().upstream_rq_per_try_timeout);
  if (endpoint_ref_) endpoint_->shared().timeout_total.fetch_add(1, std::memory_order_relaxed);
  report({.kind = Outcome::Kind::timeout});
  fail({Code::per_try_timeout, Side::upstream, Retry::never, 0, "no response within the per-try timeout"});
}

void Attempt::on_per_try_idle() {
  report({.kind = Outcome::Kind::timeout});
  fail({Code::per_try_timeout, Side::upstream, Retry::never, 0, "nothing moved within the per-try idle timeout"});
}

void Attempt::fail(const Error& why) {
  if (state_ == State::failed) return;
  cancel(why.code);
  failure_ = why;
  state_ = State::failed;
  events_.on_attempt_progress();
}

void Attempt::report(const Outcome& outcome) {
  if (reported_ || !endpoint_ref_) return;
  reported_ = true;
  cluster_.report(*endpoint_, outcome);
}

// === teardown ===

void Attempt::cancel(Code why) {
  if (state_ == State::failed || state_ == State::ended) {
    release_stream();
    return;
  }
  Waiter::leave();
  AssignmentWaiter::unlink();
  if (stream_ != nullptr && !(response_ended && request_sent_)) {
    cluster_.add_stat(cluster_.stats().upstream_rq_tx_reset);
    resume_reading();
    connection_->reset(*stream_, why);
    stream_ = nullptr;
  }
  release_stream();
  if (state_ != State::created) state_ = State::failed;
}

// Gives back what is scarce: the stream, the breaker's slot, the endpoint's count.
void Attempt::release_stream() {
  per_try_timer_.stop();
  per_try_idle_timer_.stop();
  if (stream_ != nullptr) {
    resume_reading();
    connection_->detach(*stream_);
    stream_ = nullptr;
  }
  connection_ = nullptr;
  request_slot_.release();
  if (counted_active_) {
    counted_active_ = false;
    cluster_.sub_stat(cluster_.stats().upstream_rq_active);
    if (endpoint_ref_) endpoint_->shared().active_requests.fetch_sub(1, std::memory_order_relaxed);
  }
}

}  // namespace pillion::route
