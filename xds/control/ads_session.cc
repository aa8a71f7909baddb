#include "xds/control/ads_session.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "xds/api/any.h"

namespace pillion::xds::control {

namespace {

constexpr int kInvalidArgument = 3;  // google.rpc.Code
constexpr int kResourceExhausted = 8;

}  // namespace

bool is_full_state(std::string_view type_url) {
  return type_url == kListenerType || type_url == kClusterType;
}

// === requests ===

const envoy::config::core::v3::Node& AdsSession::node() const {
  static const envoy::config::core::v3::Node kNone;
  return node_ ? *node_ : kNone;
}

// Only the first request of a stream must carry the node; later ones cannot change it.
void AdsSession::note_node(bool present, const envoy::config::core::v3::Node& node) {
  if (node_) return;
  node_.emplace();
  if (present) *node_ = node;
}

std::expected<AdsSession::Subscription*, SessionError> AdsSession::subscription(const std::string& type_url) {
  if (type_url.empty() || type_url.size() > kMaxNameBytes) {
    return std::unexpected(SessionError{kInvalidArgument, "a request on an aggregated stream needs a type_url"});
  }
  auto it = types_.find(type_url);
  if (it == types_.end()) {
    if (types_.size() >= kMaxTypesPerStream) {
      return std::unexpected(SessionError{kResourceExhausted, "too many types of resources on one stream"});
    }
    it = types_.emplace(type_url, Subscription{.type_url = type_url}).first;
  }
  return &it->second;
}

std::expected<void, SessionError> AdsSession::check_name(const Subscription& s, const std::string& name) {
  if (name.empty() || name.size() > kMaxNameBytes) {
    return std::unexpected(SessionError{kInvalidArgument, "a resource name is empty or too long"});
  }
  if (s.names.size() >= kMaxNamesPerType) {
    return std::unexpected(SessionError{kResourceExhausted, "too many subscriptions of " + s.type_url});
  }
  return {};
}

void AdsSession::acknowledge(Subscription& s, const std::string& nonce) {
  auto it = std::ranges::find(s.in_flight, nonce, &Sent::nonce);
  if (it == s.in_flight.end()) return;
  s.acked_version = it->version;
  s.rejected.erase("");
  for (const auto& [name, version] : it->resources) s.rejected.erase(name);
  s.in_flight.erase(s.in_flight.begin(), it + 1);
}

namespace {

// As a whole name: "10.0.0.1_80" is not named by "10.0.0.1_8080".
bool mentions(std::string_view text, std::string_view name) {
  auto part_of_name = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  for (size_t at = text.find(name); at != text.npos; at = text.find(name, at + 1)) {
    const size_t end = at + name.size();
    if ((at == 0 || !part_of_name(text[at - 1])) && (end == text.size() || !part_of_name(text[end]))) return true;
  }
  return false;
}

}  // namespace

// The resources that the text names are the bad ones. Where it names none, all of the response are suspect.
void AdsSession::reject(Subscription& s, const std::string& nonce, const std::string& text) {
  auto it = std::ranges::find(s.in_flight, nonce, &Sent::nonce);
  if (it == s.in_flight.end()) return;
  ++rejections_noted_;
  const std::string kept = text.substr(0, kMaxRejectionText);
  bool named = false;
  for (const auto& [name, version] : it->resources) {
    if (!mentions(kept, name)) {
      s.rejected.erase(name);
      continue;
    }
    s.rejected[name] = {name, version, kept};
    named = true;
  }
  if (!named) s.rejected[""] = {"", it->version, kept};
  s.in_flight.erase(s.in_flight.begin(), it + 1);
}

void AdsSession::set_resources(std::shared_ptr<const ResourceSet> resources) {
  if (resources == resources_) return;
  resources_ = std::move(resources);
  for (auto& [type, s] : types_) s.dirty = true;
}

// === responses ===

// What refers to clusters waits for those that were sent before it.
bool AdsSession::may_send(const Subscription& s, Instant now, std::optional<Instant>& until) const {
  if (s.type_url != kListenerType && s.type_url != kRouteType) return true;
  bool clear = true;
  for (std::string_view type : {kClusterType, kEndpointType}) {
    auto it = types_.find(type);
    if (it == types_.end() || it->second.in_flight.empty()) continue;
    const Instant end = it->second.in_flight.back().at + kOrderHold;
    if (end <= now) continue;
    clear = false;
    until = until ? std::max(*until, end) : end;
  }
  return clear;
}

bool AdsSession::routes_settled() const {
  return std::ranges::all_of(std::array{kListenerType, kRouteType}, [this](std::string_view type) {
    auto it = types_.find(type);
    if (it == types_.end()) return true;
    // A client that refused routes keeps the old ones, which may name what is to be removed.
    return !it->second.dirty && it->second.in_flight.empty() && it->second.rejected.empty();
  });
}

std::optional<std::string> AdsSession::try_type(std::string_view type_url, bool removals, Instant now) {
  auto it = types_.find(type_url);
  if (it == types_.end()) return std::nullopt;
  Subscription& s = it->second;
  if (!s.seen || !s.dirty || s.in_flight.size() >= kMaxInFlight) return std::nullopt;
  const Batch batch = collect(s, removals);
  if (!batch.send) {
    const bool final_look = removals || !(s.type_url == kClusterType || s.type_url == kEndpointType);
    if (final_look) s.dirty = false;
    return std::nullopt;
  }
  std::optional<Instant> until;
  if (!may_send(s, now, until)) {
    wake_at_ = wake_at_ ? std::min(*wake_at_, *until) : *until;
    return std::nullopt;
  }
  const std::string nonce = std::to_string(next_nonce_++);
  std::string bytes = encode(s, batch, nonce);
  s.must_answer = false;
  s.last_nonce = nonce;
  Sent sent{nonce, s.sent_version, {}, now};
  for (const ResourcePtr& resource : batch.resources) sent.resources.emplace_back(resource->name, resource->version);
  for (const std::string& name : batch.removed) s.rejected.erase(name);
  resources_sent_ += sent.resources.size();
  s.in_flight.push_back(std::move(sent));
  if (s.type_url == kClusterType && options_.resend_endpoints) owe_endpoints(batch);
  return bytes;
}

// Clusters and their endpoints have the same name.
void AdsSession::owe_endpoints(const Batch& batch) {
  auto it = types_.find(kEndpointType);
  if (it == types_.end()) return;
  Subscription& endpoints = it->second;
  for (const std::string& name : batch.changed) {
    if (!endpoints.names.contains(name) || !endpoints.client.contains(name)) continue;
    endpoints.forced.insert(name);
    endpoints.dirty = true;
  }
}

// Clusters and endpoints may go once no route can name them. A client that never answers is not waited for for ever.
bool AdsSession::may_remove(Instant now) {
  if (routes_settled()) return true;
  std::optional<Instant> until;
  bool refused = false;
  for (std::string_view type : {kListenerType, kRouteType}) {
    auto it = types_.find(type);
    if (it == types_.end()) continue;
    refused = refused || !it->second.rejected.empty();
    if (it->second.in_flight.empty()) continue;
    const Instant end = it->second.in_flight.back().at + kOrderHold;
    if (end > now) until = until ? std::max(*until, end) : end;
  }
  const bool pending = std::ranges::any_of(std::array{kClusterType, kEndpointType}, [this](std::string_view type) {
    auto it = types_.find(type);
    return it != types_.end() && it->second.dirty;
  });
  if (until && pending) wake_at_ = wake_at_ ? std::min(*wake_at_, *until) : *until;
  return !refused && !until && !wake_at_;
}

std::optional<std::string> AdsSession::pull(Instant now) {
  wake_at_.reset();
  if (!resources_) return std::nullopt;
  for (std::string_view type : {kClusterType, kEndpointType, kListenerType, kRouteType}) {
    if (auto out = try_type(type, false, now)) return out;
  }
  for (auto& [type, s] : types_) {
    const bool ordered = is_full_state(type) || type == kEndpointType || type == kRouteType;
    if (ordered) continue;
    if (auto out = try_type(type, false, now)) return out;
  }
  if (!may_remove(now)) return std::nullopt;
  for (std::string_view type : {kClusterType, kEndpointType}) {
    if (auto out = try_type(type, true, now)) return out;
  }
  return std::nullopt;
}

// === status ===

bool AdsSession::settled() const {
  return std::ranges::all_of(types_,
                             [](const auto& entry) { return !entry.second.dirty && entry.second.in_flight.empty(); });
}

bool AdsSession::has_rejections() const {
  return std::ranges::any_of(types_, [](const auto& entry) { return !entry.second.rejected.empty(); });
}

std::vector<TypeStatus> AdsSession::status() const {
  std::vector<TypeStatus> out;
  for (const auto& [type, s] : types_) {
    TypeStatus status{.type_url = type,
                      .wildcard = s.wildcard,
                      .names = s.names.size(),
                      .resources = s.client.size(),
                      .sent_version = s.sent_version,
                      .acked_version = s.acked_version,
                      .in_flight = s.in_flight.size()};
    for (const auto& [name, rejection] : s.rejected) status.rejections.push_back(rejection);
    out.push_back(std::move(status));
  }
  return out;
}

}  // namespace pillion::xds::control
