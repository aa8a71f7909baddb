// What the tests of the control plane share: a model from YAML text, and messages out of resource sets.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "xds/api/any.h"
#include "xds/control/translate.h"
#include "xds/control/yaml_source.h"

namespace pillion::xds::control::testing {

inline std::string text_of(const std::vector<ConfigError>& errors) {
  std::string out;
  for (const ConfigError& error : errors) out += error.to_string() + "\n";
  return out;
}

inline std::string text_of(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ",") + word;
  return out;
}

// Two ways to say what most tests start from.
inline std::string service_yaml(const std::string& name, const std::string& spec) {
  return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name + ", namespace: shop}\nspec: " + spec + "\n---\n";
}
inline std::string pod_yaml(const std::string& name, const std::string& app, const std::string& zone,
                            const std::string& ip, bool sidecar = true) {
  return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", namespace: shop, labels: {app: " + app +
         ", topology.kubernetes.io/zone: " + zone + "}, annotations: {pillion.dev/sidecar: \"" +
         (sidecar ? "true" : "false") + "\"}}\nspec: {serviceAccountName: " + app + "}\nstatus: {podIP: " + ip +
         "}\n---\n";
}

inline DirectorySource::Result load(const std::string& yaml) {
  DirectorySource source;
  return source.apply({{"shop.yaml", yaml}});
}

inline std::shared_ptr<const Model> model_of(const std::string& yaml) {
  DirectorySource::Result result = load(yaml);
  INFO(text_of(result.errors));
  REQUIRE(result.errors.empty());
  return result.model;
}

// The root of the source tree, wherever the program runs: the compiler may have been given relative names.
inline std::string repository() {
  if (const char* given = std::getenv("PILLION_SOURCE_DIR")) return std::string(given) + "/";
  const std::string here = __FILE__;
  const std::string root = here.substr(0, here.rfind("tests/unit/"));
  return root.starts_with("../") ? root.substr(3) : root;
}

inline std::vector<SourceFile> shop_files() {
  std::vector<SourceFile> out;
  for (const char* name : {"mesh", "pods", "web", "web-route", "orders", "nats"}) {
    const std::string path = std::string("examples/shop/") + name + ".yaml";
    std::ifstream in(repository() + path);
    std::stringstream content;
    content << in.rdbuf();
    REQUIRE(in.good());
    out.push_back({std::string(name) + ".yaml", content.str()});
  }
  return out;
}

template <class T>
T message_of(const ResourceSet& set, std::string_view type, std::string_view name) {
  T out;
  const Resource* resource = set.find(type, name);
  INFO(std::string(name));
  REQUIRE(resource != nullptr);
  REQUIRE(out.ParseFromString(resource->body));
  return out;
}

}  // namespace pillion::xds::control::testing
