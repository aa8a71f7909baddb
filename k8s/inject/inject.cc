#include "k8s/inject/inject.h"

#include <algorithm>
#include <array>

#include "k8s/inject/document.h"
#include "k8s/inject/pod.h"
#include "k8s/inject/probes.h"
#include "k8s/inject/sidecar.h"
#include "proxy/base/error.h"

namespace pillion::k8s {
namespace {

// Where the pod of a kind is. The group keeps others' kinds of the same name out.
struct WorkloadKind {
  std::string_view group;  // "apps/" stands for each version of it.
  std::string_view kind;
  std::array<std::string_view, 4> path;
};
constexpr std::array kWorkloads = {
    WorkloadKind{"v1", "Pod", {}},
    WorkloadKind{"v1", "ReplicationController", {"spec", "template"}},
    WorkloadKind{"apps/", "Deployment", {"spec", "template"}},
    WorkloadKind{"apps/", "StatefulSet", {"spec", "template"}},
    WorkloadKind{"apps/", "DaemonSet", {"spec", "template"}},
    WorkloadKind{"apps/", "ReplicaSet", {"spec", "template"}},
    WorkloadKind{"batch/", "Job", {"spec", "template"}},
    WorkloadKind{"batch/", "CronJob", {"spec", "jobTemplate", "spec", "template"}},
};

constexpr long long kDefaultGraceSeconds = 30;  // Kubernetes' own.

std::string scalar_of(const Node& map, std::string_view key) {
  const Node* value = map.find(key);
  return value == nullptr ? "" : value->scalar;
}

// "false" and the other words that Istio takes for it.
bool says_no(const Node* value) {
  if (value == nullptr) return false;
  constexpr std::array<std::string_view, 4> kNo = {"false", "no", "n", "off"};
  return std::find(kNo.begin(), kNo.end(), value->scalar) != kNo.end();
}

// Kubernetes replaces $(NAME) in arguments and environment values; a doubled dollar is one that stays.
std::string escape_dollars(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '$' ? "$$" : std::string(1, c);
  return out;
}

class Injector {
 public:
  Injector(std::string_view file, const InjectConfig& config, std::vector<std::string>* notes)
      : file_(file), config_(config), notes_(notes) {}

  Result<void> inject_document(Node& document, const std::string& path) {
    if (document.is_null()) return {};
    if (!document.is_map()) return fail(document, path, "is not a Kubernetes object: a map with apiVersion and kind");
    const std::string kind = scalar_of(document, "kind");
    const std::string version = scalar_of(document, "apiVersion");
    if (kind.empty()) return fail(document, path + "kind", "is missing");
    if (kind == "List" && version == "v1") return inject_list(document, path);
    for (const WorkloadKind& workload : kWorkloads) {
      const bool same_group =
          workload.group.ends_with('/') ? version.starts_with(workload.group) : version == workload.group;
      if (same_group && workload.kind == kind) return inject_workload(document, workload, path);
    }
    return {};
  }

 private:
  std::unexpected<ConfigError> fail(const Node& at, std::string path, std::string reason) const {
    if (path.ends_with('.')) path.pop_back();
    return std::unexpected(
        ConfigError{.file = file_, .line = at.line, .path = std::move(path), .reason = std::move(reason)});
  }

  Result<void> inject_list(Node& list, const std::string& path) {
    Node* items = list.find("items");
    if (items == nullptr || items->is_null()) return {};
    if (!items->is_sequence()) return fail(*items, path + "items", "is not a list");
    for (size_t i = 0; i < items->items.size(); ++i) {
      PILLION_TRY(inject_document(items->items[i], path + "items[" + std::to_string(i) + "]."));
    }
    return {};
  }

  Result<void> inject_workload(Node& document, const WorkloadKind& workload, std::string path) {
    Pod pod{.file = file_, .path = std::move(path), .root = &document};
    const Node* metadata = document.find("metadata");
    if (metadata != nullptr) pod.workload = scalar_of(*metadata, "name");
    for (const std::string_view step : workload.path) {
      if (step.empty()) break;
      Node* next = pod.root->find(step);
      if (next == nullptr || !next->is_map()) {
        return fail(next == nullptr ? *pod.root : *next, pod.path + std::string(step), "is missing or not a map");
      }
      pod.root = next;
      pod.path += std::string(step) + ".";
    }
    const auto left_alone = inject_pod(pod);
    if (!left_alone) return std::unexpected(left_alone.error());
    if (notes_ != nullptr) {
      notes_->push_back(file_ + ":" + std::to_string(document.line) + ": " + std::string(workload.kind) + " " +
                        (pod.workload.empty() ? "without a name" : pod.workload) + ": " +
                        (left_alone->empty() ? "injected" : "left as it is: " + *left_alone));
    }
    return {};
  }

  // Returns why the pod was left as it is, or an empty text.
  Result<std::string> inject_pod(Pod& pod) {
    PILLION_TRY(check_shape(pod));
    if (pod.annotation(kStatusAnnotation) != nullptr) return "it is injected already";
    for (const char* key : {"sidecar.istio.io/inject", "pillion.dev/inject"}) {
      const bool no = says_no(pod.label(key)) || (pod.label(key) == nullptr && says_no(pod.annotation(key)));
      if (no) return std::string(key) + " is false";
    }
    PILLION_TRY(check_pod(pod, config_));
    PILLION_TRY(add_sidecar(pod));
    return "";
  }

  Result<void> check_shape(const Pod& pod) const {
    const Node* spec = pod.spec();
    if (spec == nullptr || !spec->is_map())
      return pod.fail(spec == nullptr ? *pod.root : *spec, "spec", "is missing or not a map");
    const Node* containers = spec->find("containers");
    if (containers == nullptr || !containers->is_sequence() || containers->items.empty()) {
      return pod.fail(containers == nullptr ? *spec : *containers, "spec.containers", "is missing or empty");
    }
    const Node* metadata = pod.metadata();
    if (metadata == nullptr || metadata->is_null()) return {};
    if (!metadata->is_map()) return pod.fail(*metadata, "metadata", "is not a map");
    for (const char* key : {"annotations", "labels"}) {
      const Node* map = metadata->find(key);
      if (map != nullptr && !map->is_map() && !map->is_null()) {
        return pod.fail(*map, std::string("metadata.") + key, "is not a map");
      }
    }
    return {};
  }

  Result<std::vector<std::string>> capture_annotations(const Pod& pod) const {
    std::vector<std::string> out;
    const Node* metadata = pod.metadata();
    const Node* annotations = metadata == nullptr ? nullptr : metadata->find("annotations");
    if (annotations == nullptr || config_.is_capture_annotation == nullptr) return out;
    for (const Entry& entry : annotations->entries) {
      const std::string& key = entry.key.scalar;
      if (!config_.is_capture_annotation(key)) continue;
      const std::string& value = entry.value.scalar;
      if (config_.check_capture_annotation != nullptr) {
        const auto checked = config_.check_capture_annotation(key, value);
        if (!checked) return pod.fail(entry.value, "metadata.annotations." + key, checked.error().reason);
      }
      out.push_back(escape_dollars(key + "=" + value));
    }
    return out;
  }

  Result<void> add_sidecar(Pod& pod) {
    SidecarInput input{.config = &config_, .pod = &pod};
    auto annotations = capture_annotations(pod);
    if (!annotations) return std::unexpected(annotations.error());
    input.capture_annotations = std::move(*annotations);
    const auto grace = integer_field(pod, *pod.spec(), "terminationGracePeriodSeconds",
                                     "spec.terminationGracePeriodSeconds", kDefaultGraceSeconds);
    if (!grace) return std::unexpected(grace.error());
    input.grace_seconds = *grace;
    if (config_.rewrite_probes) {
      auto probes = rewrite_probes(pod, config_);
      if (!probes) return std::unexpected(probes.error());
      input.app_probes = escape_dollars(*probes);
    }
    std::vector<Node> first;
    if (pod.annotation_or("sidecar.istio.io/interceptionMode", "REDIRECT") == "REDIRECT") {
      first.push_back(init_container(input));
    }
    first.push_back(proxy_container(input));
    PILLION_TRY(prepend(pod, "initContainers", std::move(first)));
    PILLION_TRY(append(pod, "volumes", sidecar_volumes()));
    mark_injected(pod);
    return {};
  }

  // An absent list is put where a reader looks for it: before the containers.
  static Result<void> prepend(Pod& pod, std::string_view key, std::vector<Node> nodes) {
    Node& spec = *pod.spec();
    if (Node* list = spec.find(key)) {  // check_pod has seen that it is a list or null.
      std::move(list->items.begin(), list->items.end(), std::back_inserter(nodes));
      *list = list_node(std::move(nodes));
      return {};
    }
    const auto containers = std::find_if(spec.entries.begin(), spec.entries.end(),
                                         [](const Entry& entry) { return entry.key.scalar == "containers"; });
    spec.entries.insert(containers, {text_node(key), list_node(std::move(nodes))});
    return {};
  }

  static Result<void> append(Pod& pod, std::string_view key, std::vector<Node> nodes) {
    Node& spec = *pod.spec();
    Node* list = spec.find(key);
    if (list == nullptr || list->is_null()) list = &spec.set(key, list_node({}));
    if (!list->is_sequence()) return pod.fail(*list, "spec." + std::string(key), "is not a list");
    for (const Node& node : nodes) {
      for (size_t i = 0; i < list->items.size(); ++i) {
        if (scalar_of(list->items[i], "name") != scalar_of(node, "name")) continue;
        return pod.fail(list->items[i], "spec." + std::string(key) + "[" + std::to_string(i) + "].name",
                        "\"" + scalar_of(node, "name") + "\" is the name of a volume that Pillion adds");
      }
    }
    std::move(nodes.begin(), nodes.end(), std::back_inserter(list->items));
    return {};
  }

  static void mark_injected(Pod& pod) {
    Node* metadata = pod.metadata();
    if (metadata == nullptr) {
      pod.root->entries.insert(pod.root->entries.begin(), {text_node("metadata"), map_node({})});
      metadata = pod.metadata();
    }
    Node* annotations = metadata->find("annotations");
    if (annotations == nullptr) annotations = &metadata->set("annotations", map_node({}));
    annotations->set(kStatusAnnotation, text_node("injected"));
  }

  std::string file_;
  const InjectConfig& config_;
  std::vector<std::string>* notes_;
};

}  // namespace

std::expected<std::string, ConfigError> inject(std::string_view yaml, std::string_view file_name,
                                               const InjectConfig& config, std::vector<std::string>* notes) {
  auto documents = load_documents(yaml, file_name);
  if (!documents) return std::unexpected(std::move(documents.error()));
  Injector injector(file_name, config, notes);
  for (Node& document : *documents) PILLION_TRY(injector.inject_document(document, ""));
  std::erase_if(*documents, [](const Node& document) { return document.is_null(); });
  std::string out = write_documents(*documents);

  // What goes to a cluster is read back first: a writer that changed a value would do so silently.
  const auto read_back = load_documents(out, file_name);
  if (!read_back ||
      !std::equal(documents->begin(), documents->end(), read_back->begin(), read_back->end(), same_value)) {
    return std::unexpected(ConfigError{.file = std::string(file_name),
                                       .reason = "cannot be written back without a change: please report this file"});
  }
  return out;
}

}  // namespace pillion::k8s
