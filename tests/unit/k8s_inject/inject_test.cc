#include "k8s/inject/inject.h"

#include <doctest/doctest.h>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "k8s/inject/command.h"

namespace pillion::k8s {
namespace {

// Golden files hold manifests before (x.in.yaml) and after (x.out.yaml); UPDATE_GOLDEN=1 writes the latter.
std::filesystem::path golden_folder() {
  const char* source = std::getenv("PILLION_SOURCE_DIR");
  const std::filesystem::path root =
      source != nullptr ? std::filesystem::path(source)
                        : std::filesystem::path(__FILE__).parent_path().parent_path().parent_path().parent_path();
  return root / "tests" / "golden" / "inject";
}

std::string read(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

bool is_capture(std::string_view key) {
  return key.starts_with("traffic.sidecar.istio.io/") || key.starts_with("config.linkerd.io/skip-");
}

std::expected<void, ConfigError> check_capture(std::string_view, std::string_view value) {
  if (value != "bad") return {};
  return std::unexpected(ConfigError{.path = "somewhere", .reason = "\"bad\" is not a port"});
}

InjectConfig test_config() {
  return {.is_capture_annotation = is_capture, .check_capture_annotation = check_capture};
}

std::string error_of(std::string_view yaml, InjectConfig config = test_config()) {
  const auto out = inject(yaml, "f.yaml", config);
  return out ? "" : out.error().to_string();
}

// A pod with more lines at the indentation of its spec, the first of which is line 5.
std::string pod_with(std::string_view lines) {
  return "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n" + std::string(lines) + "  containers: [{name: c}]\n";
}

TEST_CASE("inject: the golden manifests, and a second run changes nothing") {
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(golden_folder())) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(".in.yaml")) continue;
    CAPTURE(name);
    ++files;
    InjectConfig config = test_config();
    config.rewrite_probes = name.starts_with("probes");
    const auto out = inject(read(entry.path()), name, config);
    REQUIRE_MESSAGE(out, out.error().to_string());
    const auto golden = golden_folder() / (name.substr(0, name.size() - 8) + ".out.yaml");
    if (std::getenv("UPDATE_GOLDEN") != nullptr) std::ofstream(golden, std::ios::binary) << *out;
    CHECK(*out == read(golden));
    const auto again = inject(*out, name, config);
    REQUIRE(again);
    CHECK(*again == *out);
  }
  CHECK(files == 6);
}

TEST_CASE("inject: what cannot work is refused with file, line and field") {
  struct Case {
    std::string yaml;
    const char* want;
  };
  const Case cases[] = {
      {"a: [", "f.yaml:1: is not YAML"},
      {"just text", "f.yaml:1: is not a Kubernetes object"},
      {"apiVersion: v1\nmetadata: {}", "f.yaml:1: kind: is missing"},
      {"apiVersion: apps/v1\nkind: Deployment\nspec:\n  replicas: 1\n",
       "f.yaml:4: spec.template: is missing or not a map"},
      {"apiVersion: batch/v1\nkind: CronJob\nspec: {jobTemplate: {spec: {template: {spec: {}}}}}",
       "f.yaml:3: spec.jobTemplate.spec.template.spec.containers: is missing or empty"},
      {"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n",
       "f.yaml:4: items[0].spec: is missing or not a map"},
      {pod_with("  hostNetwork: true\n"),
       "f.yaml:5: spec.hostNetwork: the rules would redirect the traffic of the whole node"},
      {pod_with("  os: {name: windows}\n"), "f.yaml:5: spec.os.name: the sidecar runs on Linux only"},
      {pod_with("  securityContext:\n    runAsUser: 1337\n"),
       "f.yaml:6: spec.securityContext.runAsUser: 1337 is the sidecar's own id"},
      {pod_with("  terminationGracePeriodSeconds: soon\n"),
       "f.yaml:5: spec.terminationGracePeriodSeconds: \"soon\" is not a whole number"},
      {pod_with("  initContainers: {}\n"), "f.yaml:5: spec.initContainers: is not a list"},
      {pod_with("  initContainers: [{name: pillion-init}]\n"),
       "f.yaml:5: spec.initContainers[0].name: \"pillion-init\" is the name of a container that Pillion adds"},
      {pod_with("  initContainers: [x]\n"), "f.yaml:5: spec.initContainers[0]: is not a container"},
      {pod_with("  volumes: [{name: pillion-token}]\n"),
       "f.yaml:5: spec.volumes[0].name: \"pillion-token\" is the name of a volume that Pillion adds"},
      {pod_with("  volumes: x\n"), "f.yaml:5: spec.volumes: is not a list"},
      {"apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: x\n",
       "f.yaml:5: spec.containers[0].name: is missing"},
      {"apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: c\n    ports:\n    - containerPort: 15006\n",
       "f.yaml:7: spec.containers[0].ports[0].containerPort: 15006 is a port of the sidecar"},
      {"apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: c\n    securityContext: {runAsGroup: 1337}\n",
       "f.yaml:6: spec.containers[0].securityContext.runAsGroup: 1337 is the sidecar's own id"},
      {"apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n    traffic.sidecar.istio.io/excludeOutboundPorts: "
       "bad\nspec: "
       "{containers: [{name: c}]}",
       "f.yaml:5: metadata.annotations.traffic.sidecar.istio.io/excludeOutboundPorts: \"bad\" is not a port"},
      {"apiVersion: v1\nkind: Pod\nmetadata:\n  annotations: {sidecar.istio.io/interceptionMode: TPROXY}\nspec: "
       "{containers: [{name: c}]}",
       "f.yaml:4: metadata.annotations.sidecar.istio.io/interceptionMode: \"TPROXY\" is not supported"},
      {"apiVersion: v1\nkind: Pod\nmetadata:\n  annotations: [x]\nspec: {containers: [{name: c}]}",
       "f.yaml:4: metadata.annotations: is not a map"},
      {"apiVersion: v1\nkind: Pod\nmetadata: x\nspec: {containers: [{name: c}]}", "f.yaml:3: metadata: is not a map"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.yaml);
    const std::string error = error_of(c.yaml);
    CAPTURE(error);
    CHECK(error.starts_with(c.want));
  }
}

TEST_CASE("inject: bad probes are refused only where probes are rewritten") {
  struct Case {
    const char* probe;
    const char* want;
  };
  static constexpr Case kCases[] = {
      {"{httpGet: {path: /}}", "f.yaml:6: spec.containers[0].livenessProbe.httpGet.port: is missing"},
      {"{tcpSocket: {port: web}}",
       "f.yaml:6: spec.containers[0].livenessProbe.tcpSocket.port: \"web\" is not the name of a port of container c"},
      {"{grpc: {port: 70000}}", "f.yaml:6: spec.containers[0].livenessProbe.grpc.port: 70000 is not a port"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.probe);
    const std::string yaml =
        "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: c\n    livenessProbe: " + std::string(c.probe) +
        "\n";
    CHECK(error_of(yaml) == "");
    InjectConfig config = test_config();
    config.rewrite_probes = true;
    CHECK(error_of(yaml, config).starts_with(c.want));
  }
}

TEST_CASE("inject: a label overrules an annotation, and only a no takes a pod out") {
  struct Case {
    const char* metadata;
    bool injected;
  };
  static constexpr Case kCases[] = {
      {"{}", true},
      {"{labels: {sidecar.istio.io/inject: \"false\"}}", false},
      {"{annotations: {sidecar.istio.io/inject: \"false\"}}", false},
      {"{annotations: {pillion.dev/inject: \"off\"}}", false},
      {"{labels: {pillion.dev/inject: \"true\"}, annotations: {pillion.dev/inject: \"false\"}}", true},
      {"{annotations: {sidecar.istio.io/inject: \"true\"}}", true},
      {"{annotations: {pillion.dev/status: injected}}", false},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.metadata);
    std::vector<std::string> notes;
    const auto out = inject(
        "apiVersion: v1\nkind: Pod\nmetadata: " + std::string(c.metadata) + "\nspec: {containers: [{name: c}]}\n",
        "f.yaml", test_config(), &notes);
    REQUIRE(out);
    CHECK(out->contains("pillion-proxy") == c.injected);
    REQUIRE(notes.size() == 1);
    CHECK(notes[0].contains("injected") == (c.injected || notes[0].contains("already")));
  }
}

TEST_CASE("inject: draining ends before the grace period does") {
  struct Case {
    const char* grace;
    const char* want;
  };
  static constexpr Case kCases[] = {{"60", "\"55\""}, {"6", "\"1\""}, {"5", "\"1\""}, {"0", "\"1\""}};
  for (const Case& c : kCases) {
    CAPTURE(c.grace);
    const auto out =
        inject(pod_with("  terminationGracePeriodSeconds: " + std::string(c.grace) + "\n"), "f.yaml", test_config());
    REQUIRE(out);
    CHECK(out->contains("- --drain-time-s\n    - " + std::string(c.want) + "\n"));
    CHECK(out->contains("terminationGracePeriodSeconds: " + std::string(c.grace) + "\n"));
  }
}

TEST_CASE("inject: an annotation's dollar is not Kubernetes' own") {
  const auto out = inject(
      "apiVersion: v1\nkind: Pod\nmetadata: {annotations: {traffic.sidecar.istio.io/x: $(HOME)}}\n"
      "spec: {containers: [{name: c}]}\n",
      "f.yaml", test_config());
  REQUIRE(out);
  CHECK(out->contains("- traffic.sidecar.istio.io/x=$$(HOME)\n"));
}

TEST_CASE("pillion inject: files in, manifests out, words on the side, nothing printed after an error") {
  const auto folder = std::filesystem::temp_directory_path() / ("pillion-inject-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  const std::string good = (folder / "good.yaml").string();
  const std::string bad = (folder / "bad.yaml").string();
  std::ofstream(good) << "# hello\n" << pod_with("");
  std::ofstream(bad) << "a: [\n";
  struct Case {
    std::vector<std::string> files;
    int status;
    std::string err;
  };
  const Case cases[] = {
      {{}, 2, "pillion inject: give a file with -f"},
      {{good}, 0, good + ":2: Pod p: injected\n" + good + ": comments are not kept\n"},
      {{good, bad}, 1, "pillion inject: " + bad + ":2: is not YAML"},
      {{good + "x"}, 1, "pillion inject: " + good + "x: No such file or directory"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.err);
    std::ostringstream out;
    std::ostringstream err;
    CHECK(run_inject({.files = c.files, .config = test_config()}, out, err) == c.status);
    CHECK(err.str().starts_with(c.err));
    CHECK(out.str().empty() == (c.status != 0));
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace pillion::k8s
