#include "xds/control/judge.h"

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/config/route/v3/route.pb.h>

#include <optional>

#include "xds/api/any.h"
#include "xds/api/validate.h"
#include "xds/translate/translate.h"

namespace pillion::xds::control {

namespace {

// What our own proxy says to it.
template <class Message, auto Translate>
std::optional<ConfigError> translation_error(const google::protobuf::Message& message) {
  auto done = Translate(static_cast<const Message&>(message), TranslationOptions{}, {});
  return done ? std::nullopt : std::optional(std::move(done.error()));
}

std::optional<ConfigError> translation_error(std::string_view type_url, const google::protobuf::Message& message) {
  using envoy::config::cluster::v3::Cluster;
  using envoy::config::endpoint::v3::ClusterLoadAssignment;
  using envoy::config::listener::v3::Listener;
  using envoy::config::route::v3::RouteConfiguration;
  if (type_url == kListenerType) return translation_error<Listener, translate_listener>(message);
  if (type_url == kClusterType) return translation_error<Cluster, translate_cluster>(message);
  if (type_url == kEndpointType) return translation_error<ClusterLoadAssignment, translate_endpoints>(message);
  if (type_url == kRouteType) return translation_error<RouteConfiguration, translate_route_configuration>(message);
  return std::nullopt;
}

}  // namespace

std::vector<ConfigError> check_resource(NodeClass::Kind kind, std::string_view type_url, const Resource& resource) {
  const std::string shown = std::string(type_name(type_url)) + " " + resource.name;
  const auto* type = find_type(type_url);
  if (type == nullptr) return {{shown, 0, "", "this type is not known"}};
  const auto message = new_message(*type);
  if (!message->ParseFromString(resource.body)) return {{shown, 0, "", "is damaged"}};
  std::vector<ConfigError> out = validate(*message);
  if (out.empty() && kind == NodeClass::Kind::sidecar) {
    if (auto error = translation_error(type_url, *message)) out.push_back(std::move(*error));
  }
  for (ConfigError& error : out) error.file = shown;
  return out;
}

// One node for each service account, and one that no pod stands for.
std::vector<NodeClass> TranslationJudge::classes_of(const Model& model) {
  std::vector<NodeClass> out;
  std::set<Name> seen;
  for (const auto& [name, pod] : model.pods) {
    const Name account{name.ns, pod.service_account};
    if (!pod.sidecar || out.size() >= kAccountsMax || !seen.insert(account).second) continue;
    out.push_back({.service_account = account, .zone = pod.zone, .ips = pod.ips});
  }
  out.push_back({.service_account = {kDefaultNamespace, "default"}});
  out.push_back({.kind = NodeClass::Kind::grpc, .service_account = {kDefaultNamespace, "default"}});
  return out;
}

void TranslationJudge::judge_set(NodeClass::Kind kind, const ResourceSet& set, std::set<std::string>& accepted,
                                 std::vector<Problem>& out) const {
  for (std::string_view type : {kClusterType, kEndpointType, kListenerType, kRouteType}) {
    for (const auto& [name, resource] : set.of(type)) {
      std::string key = (kind == NodeClass::Kind::grpc ? "grpc " : "") + std::string(type) + " " + resource->version;
      if (accepted.contains(key)) continue;
      std::vector<ConfigError> errors;
      if (!accepted_.contains(key)) errors = check_resource(kind, type, *resource);
      if (errors.empty()) accepted.insert(std::move(key));
      for (ConfigError& error : errors) {
        // The resource is nobody's file: who brought it is found by its absence.
        out.push_back({{"", 0, "", "a proxy would refuse what is made of this: " + error.to_string()}, "", ""});
      }
    }
  }
}

std::vector<Problem> TranslationJudge::judge(const Model& model) {
  std::set<std::string> accepted;
  std::vector<Problem> out;
  for (const NodeClass& node : classes_of(model))
    judge_set(node.kind, *translate(model, node, options_), accepted, out);
  if (out.empty()) accepted_ = std::move(accepted);
  return out;
}

}  // namespace pillion::xds::control
