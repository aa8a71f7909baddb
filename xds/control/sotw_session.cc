#include "xds/control/sotw_session.h"

#include <envoy/service/discovery/v3/discovery.pb.h>

#include <algorithm>

#include "xds/api/any.h"
#include "xds/control/delta_session.h"

namespace pillion::xds::control {

namespace discovery = envoy::service::discovery::v3;

namespace {

constexpr const char* kWildcard = "*";
constexpr int kInvalidArgument = 3;
constexpr int kResourceExhausted = 8;

}  // namespace

std::unique_ptr<AdsSession> AdsSession::make(Mode mode, Options options) {
  if (mode == Mode::delta) return std::make_unique<DeltaSession>(options);
  return std::make_unique<SotwSession>(options);
}

std::expected<void, SessionError> SotwSession::on_message(std::string_view bytes) {
  discovery::DiscoveryRequest request;
  if (bytes.size() > kMaxRequestBytes) {
    return std::unexpected(SessionError{kResourceExhausted, "the request is too large"});
  }
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return std::unexpected(SessionError{kInvalidArgument, "the message is not a DiscoveryRequest"});
  }
  return on_request(request);
}

std::expected<void, SessionError> SotwSession::on_request(const discovery::DiscoveryRequest& request) {
  auto found = subscription(request.type_url());
  if (!found) return std::unexpected(std::move(found.error()));
  Subscription& s = **found;
  note_node(request.has_node(), request.node());
  const bool first = !s.seen;
  // The answer to an older response: the client will answer the newer one too, with all its names. The first request
  // of a stream may carry the nonce of an earlier stream, which means nothing.
  if (!first && request.response_nonce() != s.last_nonce) return {};
  s.seen = true;
  if (!first && !request.response_nonce().empty()) {
    if (request.has_error_detail())
      reject(s, request.response_nonce(), request.error_detail().message());
    else
      acknowledge(s, request.response_nonce());
  }
  if (auto done = set_names(s, request); !done) return done;
  if (first) {
    s.must_answer = is_full_state(s.type_url) && (s.wildcard || !s.names.empty());
    s.acked_version = request.version_info();
    if (!request.version_info().empty() && !request.has_error_detail()) claimed_[s.type_url] = s.acked_version;
  }
  s.dirty = true;
  return {};
}

std::expected<void, SessionError> SotwSession::set_names(Subscription& s, const discovery::DiscoveryRequest& request) {
  std::set<std::string> names;
  bool star = false;
  for (const std::string& name : request.resource_names()) {
    if (name == kWildcard) {
      star = true;
      continue;
    }
    if (auto good = check_name(s, name); !good) return good;
    if (names.size() >= kMaxNamesPerType) {
      return std::unexpected(SessionError{kResourceExhausted, "too many subscriptions of " + s.type_url});
    }
    names.insert(name);
  }
  if (!request.resource_names().empty()) s.named = true;
  // No names at all mean everything, until the first name was sent on this stream.
  const bool wildcard = star || (is_full_state(s.type_url) && !s.named);
  bool more = wildcard && !s.wildcard;
  for (const std::string& name : names) {
    if (s.names.contains(name)) continue;
    s.forced.insert(name);  // a new name is answered, also with a version that the client has seen
    more = true;
  }
  // Of routes and endpoints the client now has less than the last version stood for. An empty response, which changes
  // nothing, gives it the right version: with the old one it could claim, on its next stream, what it has dropped.
  const bool less = std::ranges::any_of(s.client, [&names](const auto& entry) { return !names.contains(entry.first); });
  if (less && !is_full_state(s.type_url) && !wildcard) s.must_answer = true;
  s.wildcard = wildcard;
  s.names = std::move(names);
  std::erase_if(s.client, [&s](const auto& entry) { return !s.subscribed(entry.first); });
  std::erase_if(s.forced, [&s](const auto& name) { return !s.subscribed(name); });
  std::erase_if(s.rejected, [&s](const auto& entry) { return !entry.first.empty() && !s.subscribed(entry.first); });
  if (more && is_full_state(s.type_url)) s.must_answer = true;
  return {};
}

ResourceMap SotwSession::wanted(const Subscription& s) const {
  const ResourceMap& all = resources_->of(s.type_url);
  if (s.wildcard) return all;
  ResourceMap out;
  for (const std::string& name : s.names) {
    if (auto it = all.find(name); it != all.end()) out.emplace(*it);
  }
  return out;
}

std::string SotwSession::version_of(const ResourceMap& resources) {
  Hash hash;
  for (const auto& [name, resource] : resources) hash.add(name).add(resource->version);
  return hash.hex();
}

AdsSession::Batch SotwSession::collect(Subscription& s, bool removals) {
  if (auto claim = claimed_.find(s.type_url); claim != claimed_.end()) {
    const ResourceMap now = wanted(s);
    if (claim->second == version_of(now)) {
      for (const auto& [name, resource] : now) s.client[name] = {resource->version, resource};
      s.forced.clear();
      s.must_answer = false;
      s.sent_version = claim->second;
    }
    claimed_.erase(claim);
  }
  return is_full_state(s.type_url) ? collect_full(s, removals) : collect_changed(s);
}

// Listeners, clusters: one change sends all. Clusters that are to go stay in the response until they may.
AdsSession::Batch SotwSession::collect_full(Subscription& s, bool removals) const {
  Batch out;
  ResourceMap now = wanted(s);
  const bool keep = s.type_url == kClusterType && !removals;
  for (const auto& [name, known] : s.client) {
    if (now.contains(name)) continue;
    if (keep && known.resource)
      now.emplace(name, known.resource);
    else
      out.removed.push_back(name);
  }
  for (const auto& [name, resource] : now) {
    auto it = s.client.find(name);
    if (it == s.client.end() || it->second.version != resource->version) out.changed.push_back(name);
    out.resources.push_back(resource);
  }
  out.send = !out.changed.empty() || !out.removed.empty() || s.must_answer;
  return out;
}

// Routes, endpoints: what is not in the response is left as it is. There is no way to say that a resource does not
// exist; the client waits, and is told when it does.
AdsSession::Batch SotwSession::collect_changed(Subscription& s) const {
  Batch out;
  const ResourceMap now = wanted(s);
  size_t bytes = 0;
  for (const auto& [name, resource] : now) {
    auto it = s.client.find(name);
    const bool has = it != s.client.end() && it->second.version == resource->version;
    if (has && !s.forced.contains(name)) continue;
    if (bytes > kResponseTargetBytes) {
      out.last = false;
      break;
    }
    bytes += resource->body.size() + name.size();
    out.resources.push_back(resource);
    if (!has) out.changed.push_back(name);
  }
  std::erase_if(s.client, [&now](const auto& entry) { return !now.contains(entry.first); });
  std::erase_if(s.rejected, [&now](const auto& entry) { return !entry.first.empty() && !now.contains(entry.first); });
  out.send = !out.resources.empty() || s.must_answer;
  return out;
}

std::string SotwSession::encode(Subscription& s, const Batch& batch, const std::string& nonce) {
  discovery::DiscoveryResponse response;
  if (is_full_state(s.type_url)) {
    Hash hash;
    for (const ResourcePtr& resource : batch.resources) hash.add(resource->name).add(resource->version);
    s.sent_version = hash.hex();
    s.client.clear();
    s.forced.clear();
  } else {
    // Only with the last part does the client have everything that the version stands for.
    s.sent_version = version_of(wanted(s)) + (batch.last ? "" : "-part");
  }
  response.set_type_url(s.type_url);
  response.set_version_info(s.sent_version);
  response.set_nonce(nonce);
  for (const ResourcePtr& resource : batch.resources) {
    auto& out = *response.add_resources();
    out.set_type_url(s.type_url);
    out.set_value(resource->body);
    s.forced.erase(resource->name);
    s.client[resource->name] = {resource->version, resource};
  }
  return response.SerializeAsString();
}

}  // namespace pillion::xds::control
