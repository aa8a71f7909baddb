// An exchange from its head to its first attempt: who asks, which route, what the endpoint will see.
#include <algorithm>

#include "proxy/downstream/exchange.h"
#include "proxy/route/mutation.h"

namespace pillion::downstream {
namespace {

constexpr Error local_error(Code code, const char* what) {
  return {code, Side::local, Retry::never, 0, what};
}

// The table of now. An inline one lives as long as the listener, which the connection pins, so it is not counted.
std::shared_ptr<const config::RouteConfiguration> routes_of(const ExchangeContext& context) {
  if (!context.manager.rds_name.empty()) return context.services.host.routes(context.manager);
  return {std::shared_ptr<const config::RouteConfiguration>(), context.manager.routes.get()};
}

}  // namespace

void Exchange::begin() {
  begun_ = true;
  record_.request = &*head_;
  record_.original_path = head_->path;
  if (!prepare_head()) return;
  match_route();
  make_filters();
  if (head_->upgrade.empty() || wants_tls_ || allows_upgrade()) return;
  executor().stats.add(context_.stats.downstream_rq_ws_on_non_ws_route);
  reply({.status = 403, .details = "upgrade_failed", .ends_connection = true},
        local_error(Code::denied, "the upgrade is not enabled"));
}

// The connection manager's changes; false: the request has its answer.
bool Exchange::prepare_head() {
  static const std::vector<std::string> kNoNames;
  routes_ = routes_of(context_);
  const config::HttpConnectionManager& manager = context_.manager;
  if (const auto refused = normalise_request(manager, context_.info.local.port(), *head_)) {
    reply(*refused, local_error(Code::denied, "the path or a header name is not accepted"));
    return false;
  }
  const Origin origin = apply_forwarding(manager, context_.peer, routes_ ? routes_->internal_only_headers : kNoNames,
                                         executor().random, *head_);
  record_.downstream_remote = origin.remote;
  record_.is_internal = origin.is_internal;
  record_.original_path = head_->path;
  return true;
}

// What filters may ask about is known before they run; that there is no route is said after them.
void Exchange::match_route() {
  if (routes_ != nullptr) match_ = route::match(*routes_, *head_, executor().random);
  if (match_.virtual_host != nullptr) record_.virtual_host = match_.virtual_host->name;
  // Asked once: a filter that changes the header later does not change who the request is for.
  wants_tls_ = match_.virtual_host != nullptr && match_.virtual_host->require_tls &&
               !http::equals_ignore_case(head_->headers.get(http::HeaderId::x_forwarded_proto), "https");
  if (match_.route == nullptr || wants_tls_) return;
  record_.route_name = match_.route->name;
  action_ = std::get_if<config::RouteAction>(&match_.route->action);
  if (action_ == nullptr) return;
  find_cluster();
  if (action_->max_stream_duration) limit_duration(*action_->max_stream_duration);
  if (action_->idle_timeout) {
    idle_timeout_ = *action_->idle_timeout;
    note_progress();
  }
}

void Exchange::find_cluster() {
  weighted_ = route::pick_cluster(*action_, executor().random);
  if (weighted_ != nullptr) cluster_name_ = weighted_->cluster;
  if (!action_->cluster_header.empty()) {
    cluster_name_ = route::header_value(*head_, action_->cluster_header).value_or(std::string_view());
  }
  resolve_cluster();
}

void Exchange::resolve_cluster() {
  cluster_ = cluster_name_.empty() ? nullptr : context_.services.clusters.find(cluster_name_);
  if (cluster_ == nullptr) return;
  cluster_pin_ = upstream::ClusterPin(cluster_->context());
  record_.cluster = cluster_->config().name;
}

// The route's limit takes the place of the connection manager's; both count from the begin of the request.
void Exchange::limit_duration(Duration limit) {
  duration_timer_.stop();
  if (limit.count() > 0) duration_timer_.start(executor().timers, record_.start + limit);
}

// What the router does once the filters have let the request pass: an endpoint's cluster, or an answer.
void Exchange::choose_upstream() {
  routed_ = true;
  if (wants_tls_) {
    const std::string_view location = arena_.concat({"https://", head_->authority, head_->path});
    reply({.status = 301, .details = "direct_response", .location = location}, {});
    return;
  }
  if (match_.route == nullptr) {
    executor().stats.add(context_.stats.no_route);
    reply({.status = 404, .details = "route_not_found", .ends_connection = head_->method == "CONNECT"},
          local_error(Code::no_route,
                      routes_ == nullptr ? "the route configuration has not arrived" : "no route matches"));
    return;
  }
  if (answers_by_itself() || !choose_cluster()) return;
  prepare_for_upstream();
  if (request_ended_) start_route_timer();
}

// The route's own word on websocket goes before the connection manager's list.
bool Exchange::allows_upgrade() const {
  if (http::equals_ignore_case(head_->upgrade, "websocket") && action_ != nullptr && action_->websocket) {
    return *action_->websocket;
  }
  const std::vector<std::string>& enabled = context_.manager.upgrades;
  return std::any_of(enabled.begin(), enabled.end(),
                     [this](const std::string& type) { return http::equals_ignore_case(head_->upgrade, type); });
}

bool Exchange::answers_by_itself() {
  const Error none{Code::direct_response, Side::local, Retry::never, 0, ""};
  if (const auto* direct = std::get_if<config::DirectResponse>(&match_.route->action)) {
    executor().stats.add(context_.stats.rq_direct_response);
    reply({.status = direct->status, .body = direct->body, .details = "direct_response"}, none);
    return true;
  }
  if (const auto* redirect = std::get_if<config::RedirectAction>(&match_.route->action)) {
    executor().stats.add(context_.stats.rq_redirect);
    const std::string_view location = arena_.copy(route::redirect_location(*redirect, *match_.route, *head_));
    reply({.status = redirect->status, .details = "direct_response", .location = location}, none);
    return true;
  }
  return false;
}

bool Exchange::choose_cluster() {
  if (filters_ != nullptr) resolve_cluster();  // they may have taken their time: the cluster of now
  if (cluster_ == nullptr) {
    executor().stats.add(context_.stats.no_cluster);
    record_.failure_detail = cluster_name_.empty() ? "the request does not name one" : cluster_name_;
    reply({.status = action_->cluster_not_found_status, .details = "cluster_not_found"},
          local_error(Code::no_cluster, "the route's cluster is not known"));
    return false;
  }
  executor().stats.add(context_.stats.rq_total);
  return true;
}

// Timeouts, retries, and what the endpoint will see.
void Exchange::prepare_for_upstream() {
  const config::RetryPolicy* configured = action_->retry               ? &*action_->retry
                                          : match_.virtual_host->retry ? &*match_.virtual_host->retry
                                                                       : nullptr;
  timeouts_ = route::take_timeouts(*action_, configured, record_.is_internal, *head_);
  retry_policy_ = route::take_retry_policy(configured, record_.is_internal, *head_, merged_policy_);
  retry_.emplace(retry_policy_, *head_, !head_->upgrade.empty());
  if (timeouts_.max_stream) limit_duration(*timeouts_.max_stream);
  say_continue();
  if (!context_.manager.suppress_envoy_headers) route::tell_timeout(timeouts_, Duration{}, *head_);
  tell_attempt_count(1);
  route::mutate_request(*routes_, match_, weighted_, values_, *head_);
  route::rewrite_request(*action_, *match_.route, weighted_, *head_, context_.manager.suppress_envoy_headers);
}

// We take the body, so we say so; the endpoint is not asked again.
void Exchange::say_continue() {
  if (!head_->expects_continue) return;
  http::ResponseHead head(arena_);
  head.status = 100;
  stream_->send_informational(head);
  context_.owner.touch();
  head_->expects_continue = false;
}

void Exchange::tell_attempt_count(uint32_t count) {
  if (!match_.virtual_host->include_attempt_count_in_request) return;
  head_->headers.set(http::HeaderId::x_envoy_attempt_count, arena_.copy(std::to_string(count)));
}

route::AttemptOptions Exchange::attempt_options() const {
  route::AttemptOptions options;
  options.downstream_version = head_->version;
  options.auto_host_rewrite = action_->auto_host_rewrite;
  options.append_x_forwarded_host = action_->append_x_forwarded_host;
  options.suppress_envoy_headers = context_.manager.suppress_envoy_headers;
  options.pick.priority = action_->priority;
  // A connection that came to our own port has no other destination: it would come back to us.
  if (context_.info.restored_destination) options.pick.original_destination = context_.info.local;
  options.per_try_timeout = timeouts_.per_try;
  options.per_try_idle_timeout = timeouts_.per_try_idle;
  if (retry_policy_ == nullptr) return options;
  if (retry_policy_->previous_hosts) {
    options.pick.avoid = tried_;
    options.pick.attempts_max = std::max(retry_policy_->host_selection_attempts, 1u);
  }
  return options;
}

// What tells the endpoint how long it has, and which try this is.
void Exchange::set_retry_headers() {
  tell_attempt_count(record_.attempts_total);
  if (context_.manager.suppress_envoy_headers) return;
  const Duration gone = route_timer_.is_armed() ? timeouts_.request - (route_timer_.deadline() - now()) : Duration{};
  route::tell_timeout(timeouts_, gone, *head_);
}

}  // namespace pillion::downstream
