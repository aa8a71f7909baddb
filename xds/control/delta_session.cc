#include "xds/control/delta_session.h"

#include <envoy/service/discovery/v3/discovery.pb.h>

#include "xds/api/any.h"

namespace pillion::xds::control {

namespace discovery = envoy::service::discovery::v3;

namespace {

constexpr const char* kWildcard = "*";
constexpr int kInvalidArgument = 3;
constexpr int kResourceExhausted = 8;

}  // namespace

std::expected<void, SessionError> DeltaSession::on_message(std::string_view bytes) {
  discovery::DeltaDiscoveryRequest request;
  if (bytes.size() > kMaxRequestBytes) {
    return std::unexpected(SessionError{kResourceExhausted, "the request is too large"});
  }
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return std::unexpected(SessionError{kInvalidArgument, "the message is not a DeltaDiscoveryRequest"});
  }
  return on_request(request);
}

// A request plays three parts at once, and each is taken for itself: it acknowledges, it changes the subscriptions
// (also with a stale nonce), and the first one of a type says what the client still has from an earlier stream.
std::expected<void, SessionError> DeltaSession::on_request(const discovery::DeltaDiscoveryRequest& request) {
  auto found = subscription(request.type_url());
  if (!found) return std::unexpected(std::move(found.error()));
  Subscription& s = **found;
  note_node(request.has_node(), request.node());
  if (!request.response_nonce().empty()) {
    if (request.has_error_detail())
      reject(s, request.response_nonce(), request.error_detail().message());
    else
      acknowledge(s, request.response_nonce());
  }
  const bool first = !s.seen;
  if (first) {
    if (auto done = first_request(s, request); !done) return done;
  }
  for (const std::string& name : request.resource_names_unsubscribe()) unsubscribe(s, name);
  for (const std::string& name : request.resource_names_subscribe()) {
    if (name == kWildcard) {
      s.must_answer = s.must_answer || (!s.wildcard && s.client.empty());
      s.wildcard = true;
      continue;
    }
    if (auto good = check_name(s, name); !good) return good;
    s.names.insert(name);
    // Asked for by name, it is sent even if the client should have it: it may have dropped it. Only what it says it
    // has, on a new stream, is believed.
    if (!first || !request.initial_resource_versions().contains(name)) s.forced.insert(name);
  }
  s.dirty = true;
  return {};
}

std::expected<void, SessionError> DeltaSession::first_request(Subscription& s,
                                                              const discovery::DeltaDiscoveryRequest& request) {
  s.seen = true;
  const auto& versions = request.initial_resource_versions();
  if (versions.size() > kMaxNamesPerType) {
    return std::unexpected(SessionError{kResourceExhausted, "too many initial_resource_versions"});
  }
  for (const auto& [name, version] : versions) s.client[name] = {version, nullptr};
  s.wildcard = is_full_state(s.type_url) && request.resource_names_subscribe().empty();  // the old way to say "*"
  s.must_answer = s.wildcard && versions.empty();
  return {};
}

void DeltaSession::unsubscribe(Subscription& s, const std::string& name) {
  if (name == kWildcard) {
    s.wildcard = false;
    std::erase_if(s.client, [&s](const auto& entry) { return !s.names.contains(entry.first); });
    return;
  }
  if (s.names.erase(name) == 0) return;  // unknown: nothing happens
  if (s.wildcard) {
    s.forced.insert(name);  // the client must learn whether the wildcard still gives it this resource
    return;
  }
  s.client.erase(name);
  s.forced.erase(name);
  s.rejected.erase(name);
}

AdsSession::Batch DeltaSession::collect(Subscription& s, bool removals) {
  Batch out;
  const ResourceMap& all = resources_->of(s.type_url);
  size_t bytes = 0;
  auto consider = [&](const ResourcePtr& resource) {
    auto it = s.client.find(resource->name);
    const bool has = it != s.client.end() && it->second.version == resource->version;
    if (has && !s.forced.contains(resource->name)) return;
    if (bytes > kResponseTargetBytes) {
      out.last = false;
      return;
    }
    bytes += resource->body.size() + resource->name.size();
    out.resources.push_back(resource);
    if (!has) out.changed.push_back(resource->name);
  };
  if (s.wildcard) {
    for (const auto& [name, resource] : all) consider(resource);
  } else {
    for (const std::string& name : s.names) {
      if (auto it = all.find(name); it != all.end()) consider(it->second);
    }
  }
  collect_removed(s, removals, out);
  out.send = !out.resources.empty() || !out.removed.empty() || s.must_answer;
  return out;
}

void DeltaSession::collect_removed(const Subscription& s, bool removals, Batch& out) const {
  const ResourceMap& all = resources_->of(s.type_url);
  for (const std::string& name : s.forced) {
    if (!all.contains(name)) out.removed.push_back(name);  // asked for by name: said at once
  }
  const bool waits = s.type_url == kClusterType || s.type_url == kEndpointType;
  if (waits && !removals) return;
  for (const auto& [name, known] : s.client) {
    if (!all.contains(name) && !s.forced.contains(name) && s.subscribed(name)) out.removed.push_back(name);
  }
}

std::string DeltaSession::encode(Subscription& s, const Batch& batch, const std::string& nonce) {
  discovery::DeltaDiscoveryResponse response;
  s.sent_version = resources_->version(s.type_url);
  response.set_type_url(s.type_url);
  response.set_system_version_info(s.sent_version);
  response.set_nonce(nonce);
  for (const ResourcePtr& resource : batch.resources) {
    auto& out = *response.add_resources();
    out.set_name(resource->name);
    out.set_version(resource->version);
    out.mutable_resource()->set_type_url(s.type_url);
    out.mutable_resource()->set_value(resource->body);
    s.forced.erase(resource->name);
    s.client[resource->name] = {resource->version, nullptr};
  }
  for (const std::string& name : batch.removed) {
    response.add_removed_resources(name);
    s.forced.erase(name);
    s.client.erase(name);
  }
  return response.SerializeAsString();
}

}  // namespace pillion::xds::control
