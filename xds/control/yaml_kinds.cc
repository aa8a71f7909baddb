#include "xds/control/yaml_kinds.h"

#include <array>

#include "xds/api/nearest.h"

namespace pillion::xds::control {

namespace {

struct Kind {
  std::string_view name;
  std::string_view api_version;
  bool cluster_scoped = false;
};

constexpr std::array kKinds = {
    Kind{"Service", "v1"},
    Kind{"EndpointSlice", "discovery.k8s.io/v1"},
    Kind{"Pod", "v1"},
    Kind{"Namespace", "v1", true},
    Kind{"HTTPRoute", "gateway.networking.k8s.io/v1"},
    Kind{"GRPCRoute", "gateway.networking.k8s.io/v1"},
    Kind{"TrafficPolicy", "pillion.dev/v1alpha1"},
    Kind{"MeshPolicy", "pillion.dev/v1alpha1"},
};

const Kind* find_kind(const YamlMap& head) {
  const auto value = head.require("kind");
  const auto version = head.require("apiVersion");
  if (!value || !version) return nullptr;
  const std::string name = value->text();
  for (const Kind& kind : kKinds) {
    if (kind.name != name) continue;
    if (version->text() == kind.api_version) return &kind;
    version->fail("a " + name + " has the apiVersion " + std::string(kind.api_version));
    return nullptr;
  }
  std::vector<std::string_view> names;
  std::string all;
  for (const Kind& kind : kKinds) {
    names.push_back(kind.name);
    all.append(all.empty() ? "" : ", ").append(kind.name);
  }
  auto near = nearest(name, names);
  value->fail("kind " + name + " is not known; " +
              (near ? "did you mean " + std::string(*near) + "?" : "the kinds here are " + all));
  return nullptr;
}

Meta read_meta(const Kind& kind, const YamlMap& top) {
  Meta meta;
  meta.kind = kind.name;
  meta.at = top.value().place();
  const auto value = top.require("metadata");
  if (!value) return meta;
  const YamlMap map(*value, {"name", "namespace", "labels", "annotations"},
                    {"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "ownerReferences",
                     "generateName", "finalizers", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"});
  if (auto name = map.require("name")) {
    meta.name.name = name->dns_name();
    meta.at = name->place();
  }
  const bool mesh_policy = kind.name == "MeshPolicy";
  meta.name.ns = kind.cluster_scoped ? "" : (mesh_policy ? kRootNamespace : kDefaultNamespace);
  if (auto ns = map.get("namespace")) {
    if (kind.cluster_scoped)
      ns->fail("a " + meta.kind + " has no namespace");
    else
      meta.name.ns = ns->dns_name();
  }
  if (auto labels = map.get("labels")) meta.labels = labels->string_map();
  if (auto annotations = map.get("annotations")) meta.annotations = annotations->string_map();
  return meta;
}

Document read_kind(const Kind& kind, const YamlValue& value) {
  if (kind.name == "EndpointSlice") {
    const YamlMap top(value, {"apiVersion", "kind", "metadata", "addressType", "ports", "endpoints"});
    return read_endpoint_slice(read_meta(kind, top), top);
  }
  const YamlMap top(value, {"apiVersion", "kind", "metadata", "spec", "status"});
  Meta meta = read_meta(kind, top);
  if (kind.name == "Service") return read_service(std::move(meta), top);
  if (kind.name == "Pod") return read_pod(std::move(meta), top);
  if (kind.name == "Namespace") return read_namespace(std::move(meta), top);
  if (kind.name == "HTTPRoute") return read_route(std::move(meta), top, false);
  if (kind.name == "GRPCRoute") return read_route(std::move(meta), top, true);
  if (kind.name == "TrafficPolicy") return read_traffic_policy(std::move(meta), top);
  return read_mesh_policy(std::move(meta), top);
}

}  // namespace

std::optional<Document> read_document(const YamlValue& value) {
  if (!value.is_map()) {
    value.fail("a document is a mapping with apiVersion, kind and metadata");
    return std::nullopt;
  }
  // Looked at without its other keys, which only the kind can judge.
  YAML::Node head_node;
  for (const char* key : {"apiVersion", "kind"}) {
    if (const YAML::Node part = value.node()[key]; part.IsDefined()) head_node[key] = part;
  }
  if (!head_node.IsMap()) {
    value.fail("the fields apiVersion and kind are missing");
    return std::nullopt;
  }
  const YamlMap head(YamlValue(head_node, value.path(), value.place().line, value.report()), {"apiVersion", "kind"});
  const Kind* kind = find_kind(head);
  if (kind == nullptr) return std::nullopt;
  return read_kind(*kind, value);
}

void check_service_ref(const YamlMap& ref) {
  if (auto group = ref.get("group"); group && !group->text().empty()) {
    group->fail("must be empty (the core group): in the mesh only a Service can be referred to");
  }
  if (auto kind = ref.get("kind"); kind && kind->text() != "Service") {
    kind->fail("must be Service: nothing else can be referred to in the mesh");
  }
}

const Meta& meta_of(const Document& document) {
  return std::visit([](const auto& d) -> const Meta& { return d.meta; }, document);
}

}  // namespace pillion::xds::control
