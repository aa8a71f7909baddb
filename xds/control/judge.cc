#include "xds/control/judge.h"

#include <array>

#include "xds/api/any.h"
#include "xds/api/validate.h"

namespace pillion::xds::control {

std::vector<ConfigError> check_resource(std::string_view type_url, const Resource& resource) {
  const std::string shown = std::string(type_name(type_url)) + " " + resource.name;
  const auto* type = find_type(type_url);
  if (type == nullptr) return {{shown, 0, "", "this type is not known"}};
  const auto message = new_message(*type);
  if (!message->ParseFromString(resource.body)) return {{shown, 0, "", "is damaged"}};
  std::vector<ConfigError> out = validate(*message);
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

void TranslationJudge::judge_set(const ResourceSet& set, std::set<std::string>& accepted,
                                 std::vector<Problem>& out) const {
  for (std::string_view type : {kClusterType, kEndpointType, kListenerType, kRouteType}) {
    for (const auto& [name, resource] : set.of(type)) {
      std::string key = std::string(type) + " " + resource->version;
      if (accepted.contains(key)) continue;
      std::vector<ConfigError> errors;
      if (!accepted_.contains(key)) errors = check_resource(type, *resource);
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
  for (const NodeClass& node : classes_of(model)) judge_set(*translate(model, node, options_), accepted, out);
  if (out.empty()) accepted_ = std::move(accepted);
  return out;
}

}  // namespace pillion::xds::control
