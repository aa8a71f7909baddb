// One pod, or the template of one: where its parts are, with errors that name the place. Shared by the steps of inject.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "k8s/inject/config.h"
#include "k8s/inject/document.h"

namespace pillion::k8s {

constexpr std::string_view kInitContainer = "pillion-init";
constexpr std::string_view kProxyContainer = "pillion-proxy";
constexpr std::string_view kStatusAnnotation = "pillion.dev/status";

template <typename T>
using Result = std::expected<T, ConfigError>;

struct Pod {
  std::string file;
  std::string path;      // Of the pod in its document: "spec.template."; empty for a Pod itself.
  std::string workload;  // metadata.name of the document, where it has one.
  Node* root = nullptr;  // Holds metadata and spec.

  Node* metadata() const { return root->find("metadata"); }
  Node* spec() const { return root->find("spec"); }
  const Node* annotation(std::string_view key) const { return entry("annotations", key); }
  const Node* label(std::string_view key) const { return entry("labels", key); }
  // The annotation's value, or `otherwise`.
  std::string annotation_or(std::string_view key, const std::string& otherwise) const;

  std::unexpected<ConfigError> fail(const Node& at, std::string_view field, std::string reason) const;

 private:
  const Node* entry(std::string_view map, std::string_view key) const;
};

// A container of the application, with its place for errors: "spec.containers[0]".
struct AppContainer {
  Node* node = nullptr;
  std::string path;
  std::string name;
};

// The containers, and the init containers that are sidecars themselves: all that run beside the proxy and have probes.
Result<std::vector<AppContainer>> app_containers(const Pod& pod);

// The pod as it is: refuses what cannot work with a sidecar (host network, Windows, our ids or ports in use, TPROXY).
Result<void> check_pod(const Pod& pod, const InjectConfig& config);

// A whole number of at least zero, such as terminationGracePeriodSeconds.
Result<long long> integer_field(const Pod& pod, const Node& map, std::string_view key, std::string_view path,
                                long long otherwise);

}  // namespace pillion::k8s
