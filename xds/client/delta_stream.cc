#include "xds/client/delta_stream.h"

#include <envoy/service/discovery/v3/discovery.pb.h>

#include <algorithm>

#include "xds/api/any.h"

namespace pillion::xds::client {

namespace discovery = envoy::service::discovery::v3;

namespace {

constexpr int kInvalidArgument = 3;
using google::protobuf::RepeatedFieldBackInserter;

}  // namespace

void DeltaStream::resume(std::string_view type_url, std::string, std::map<std::string, std::string> resource_versions) {
  types_[std::string(type_url)].held = std::move(resource_versions);
}

void DeltaStream::want_all(std::string_view type_url) {
  Type& t = types_[std::string(type_url)];
  t.wanted = t.all = true;
}

void DeltaStream::want(std::string_view type_url, NamesPtr names) {
  const auto found = types_.find(type_url);
  // A first request without names would ask for everything.
  if (names->empty() && (found == types_.end() || !found->second.wanted)) return;
  Type& t = types_[std::string(type_url)];
  t.wanted = true;
  t.names = std::move(names);
}

// One message does all that is due for a type: the change of its subscription and the oldest answer. The first of a
// type brings the versions that are held already; a change that is nobody's answer has no nonce.
std::optional<std::string> DeltaStream::pull() {
  for (auto& [type_url, t] : types_) {
    if (!t.wanted) continue;
    const bool changed = t.names != t.told;
    if (t.opened && !changed && t.answers.empty()) continue;
    discovery::DeltaDiscoveryRequest request;
    if (!node_.empty()) {
      request.mutable_node()->ParseFromString(node_);
      node_.clear();
    }
    request.set_type_url(type_url);
    if (!t.opened) {
      for (auto& [name, version] : t.held) {
        if (t.all || t.names->contains(name)) (*request.mutable_initial_resource_versions())[name] = version;
      }
      t.held.clear();
      t.opened = true;
    }
    std::set_difference(t.names->begin(), t.names->end(), t.told->begin(), t.told->end(),
                        RepeatedFieldBackInserter(request.mutable_resource_names_subscribe()));
    std::set_difference(t.told->begin(), t.told->end(), t.names->begin(), t.names->end(),
                        RepeatedFieldBackInserter(request.mutable_resource_names_unsubscribe()));
    t.told = t.names;
    if (!t.answers.empty()) {
      request.set_response_nonce(t.answers.front().nonce);
      if (!t.answers.front().error.empty()) {
        request.mutable_error_detail()->set_code(kInvalidArgument);
        request.mutable_error_detail()->set_message(t.answers.front().error);
      }
      t.answers.pop_front();
    }
    return request.SerializeAsString();
  }
  return std::nullopt;
}

std::expected<Response, std::string> DeltaStream::on_message(std::string_view bytes) {
  discovery::DeltaDiscoveryResponse message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return std::unexpected("the message is not a DeltaDiscoveryResponse");
  }
  if (!types_.contains(message.type_url())) {
    return std::unexpected("a response of a type that was not asked for: " + message.type_url());
  }
  Response response;
  response.type_url = message.type_url();
  response.version = message.system_version_info();
  response.nonce = message.nonce();
  for (discovery::Resource& resource : *message.mutable_resources()) {
    // A heartbeat repeats name and version and brings nothing new.
    if (!resource.has_resource()) continue;
    response.resources.push_back({resource.name(), resource.version(), std::move(*resource.mutable_resource())});
  }
  for (std::string& name : *message.mutable_removed_resources()) response.removed.push_back(std::move(name));
  return response;
}

void DeltaStream::acknowledge(const Response& response, const std::vector<ResourceError>& errors) {
  types_[response.type_url].answers.push_back(
      {response.nonce, errors.empty() ? std::string() : describe(errors, response.resources.size())});
}

}  // namespace pillion::xds::client
