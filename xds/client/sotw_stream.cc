#include "xds/client/sotw_stream.h"

#include <envoy/service/discovery/v3/discovery.pb.h>

#include "xds/api/any.h"
#include "xds/client/delta_stream.h"

namespace pillion::xds::client {

namespace discovery = envoy::service::discovery::v3;

namespace {

constexpr std::string_view kResourceWrapper = "type.googleapis.com/envoy.service.discovery.v3.Resource";
constexpr int kInvalidArgument = 3;

}  // namespace

std::unique_ptr<AdsStream> AdsStream::make(Mode mode, std::string node) {
  if (mode == Mode::delta) return std::make_unique<DeltaStream>(std::move(node));
  return std::make_unique<SotwStream>(std::move(node));
}

void SotwStream::resume(std::string_view type_url, std::string version, std::map<std::string, std::string>) {
  types_[std::string(type_url)].version = std::move(version);
}

void SotwStream::want_all(std::string_view type_url) {
  Type& t = types_[std::string(type_url)];
  t.due |= !t.wanted;
  t.wanted = t.all = true;
}

void SotwStream::want(std::string_view type_url, NamesPtr names) {
  const auto found = types_.find(type_url);
  // A type nobody ever named is not spoken of: an empty first request would ask for everything.
  if (names->empty() && (found == types_.end() || !found->second.wanted)) return;
  Type& t = types_[std::string(type_url)];
  if (t.wanted && (t.names == names || *t.names == *names)) return;
  t.names = std::move(names);
  t.wanted = t.due = true;
}

std::optional<std::string> SotwStream::pull() {
  for (auto& [type_url, t] : types_) {
    if (!t.due) continue;
    t.due = false;
    discovery::DiscoveryRequest request;
    if (!node_.empty()) {
      request.mutable_node()->ParseFromString(node_);
      node_.clear();
    }
    request.set_type_url(type_url);
    request.set_version_info(t.version);
    request.set_response_nonce(t.nonce);
    for (const std::string& name : *t.names) request.add_resource_names(name);
    if (!t.error.empty()) {
      request.mutable_error_detail()->set_code(kInvalidArgument);
      request.mutable_error_detail()->set_message(t.error);
      t.error.clear();
    }
    return request.SerializeAsString();
  }
  return std::nullopt;
}

std::expected<Response, std::string> SotwStream::on_message(std::string_view bytes) {
  discovery::DiscoveryResponse message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return std::unexpected("the message is not a DiscoveryResponse");
  }
  const auto found = types_.find(message.type_url());
  if (found == types_.end())
    return std::unexpected("a response of a type that was not asked for: " + message.type_url());
  found->second.nonce = message.nonce();
  Response response;
  response.type_url = message.type_url();
  response.version = message.version_info();
  response.nonce = message.nonce();
  response.full_state = response.type_url == kListenerType || response.type_url == kClusterType;
  for (google::protobuf::Any& any : *message.mutable_resources()) {
    Received& r = response.resources.emplace_back();
    if (any.type_url() != kResourceWrapper) {
      r.body = std::move(any);
      continue;
    }
    discovery::Resource wrapper;
    if (!wrapper.ParseFromString(any.value())) return std::unexpected("a Resource that cannot be parsed");
    r.name = wrapper.name();
    r.version = wrapper.version();
    r.body = std::move(*wrapper.mutable_resource());
  }
  return response;
}

void SotwStream::acknowledge(const Response& response, const std::vector<ResourceError>& errors) {
  Type& t = types_[response.type_url];
  t.due = true;
  if (errors.empty()) {
    t.version = response.version;
    t.error.clear();
  } else {
    t.error = describe(errors, response.resources.size());
  }
}

}  // namespace pillion::xds::client
