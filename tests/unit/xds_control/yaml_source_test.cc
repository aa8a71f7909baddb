#include "xds/control/yaml_source.h"

#include "tests/unit/xds_control/support.h"

using namespace pillion;
using namespace pillion::xds::control;
using namespace pillion::xds::control::testing;

namespace {

const std::string kWeb = service_yaml("web", "{clusterIP: 10.78.0.10, ports: [{name: http, port: 80}]}");

std::string route(const std::string& rules) {
  return "apiVersion: gateway.networking.k8s.io/v1\n"
         "kind: HTTPRoute\n"
         "metadata: {name: web, namespace: shop}\n"
         "spec:\n"
         "  parentRefs: [{kind: Service, name: web}]\n"
         "  rules:\n" +
         rules;
}

}  // namespace

TEST_CASE("yaml: the demo's shop reads without a complaint") {
  DirectorySource source;
  const auto result = source.apply(shop_files());
  INFO(text_of(result.errors));
  CHECK(result.errors.empty());
  CHECK(result.changed);
  CHECK(result.model->services.size() == 5);
  CHECK(result.model->pods.size() == 7);
  const Service& web = result.model->services.at({"shop", "web"});
  CHECK(result.model->endpoints_of(web, web.ports[0]).size() == 4);
  CHECK(result.model->settings_of("shop").mtls == MtlsMode::strict);
}

TEST_CASE("yaml: what is wrong with a document is said with its line and field") {
  struct Case {
    const char* name;
    const char* yaml;
    int line;
    const char* path;
    const char* reason;
  };
  static constexpr Case kCases[] = {
      {"not YAML", "a: [1,\nb: }", 2, "", "is not YAML"},
      {"unknown kind", "apiVersion: v1\nkind: Servise\nmetadata: {name: x}", 2, "kind", "did you mean Service?"},
      {"wrong group", "apiVersion: v2\nkind: Service\nmetadata: {name: x}", 1, "apiVersion", "has the apiVersion v1"},
      {"no kind", "apiVersion: v1\n", 1, "", "kind is missing"},
      {"a list", "- a\n", 1, "", "mapping"},
      {"unknown field", "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec:\n  portz: []\n", 5, "spec.portz",
       "did you mean ports?"},
      {"a port that is none",
       "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec:\n  ports:\n    - port: 70000\n", 6,
       "spec.ports[0].port", "from 1 to 65535"},
      {"a port that is no number", "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec:\n  ports:\n  - port: x\n",
       6, "spec.ports[0].port", "not a whole number"},
      {"bad address", "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nstatus:\n  podIP: 10.0.0.300\n", 5,
       "status.podIP", "not an IPv4"},
      {"bad name", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: Web\n", 4, "metadata.name", "is not a name"},
      {"a field twice", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  name: b\n", 5, "metadata.name",
       "given twice"},
      {"bad duration",
       "apiVersion: pillion.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {name: x}\nspec:\n  targetRefs: [{name: w}]\n"
       "  outlierDetection:\n    interval: 5\n",
       7, "spec.outlierDetection.interval", "write it like 250ms"},
      {"a duration of nothing",
       "apiVersion: pillion.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {name: x}\nspec:\n  targetRefs: [{name: w}]\n"
       "  connectionPool:\n    connectTimeout: 0s\n",
       7, "spec.connectionPool.connectTimeout", "longer than nothing"},
      {"bad condition",
       "apiVersion: pillion.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {name: x}\nspec:\n  targetRefs: [{name: w}]\n"
       "  retries:\n    on:\n    - conect-failure\n",
       8, "spec.retries.on[0]", "did you mean connect-failure?"},
      {"bad mode",
       "apiVersion: pillion.dev/v1alpha1\nkind: MeshPolicy\nmetadata: {name: x}\nspec:\n  mtls: {mode: Strikt}\n", 5,
       "spec.mtls.mode", "did you mean Strict?"},
      {"bad header",
       "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: x}\nspec:\n"
       "  parentRefs: [{kind: Service, name: w}]\n  rules:\n  - matches:\n    - headers:\n      - name: 'a b'\n"
       "        value: x\n",
       9, "spec.rules[0].matches[0].headers[0].name", "not a header name"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    const auto parsed = parse_yaml_file({"f.yaml", c.yaml});
    INFO(text_of(parsed->errors));
    REQUIRE(!parsed->errors.empty());
    CHECK(parsed->errors[0].file == "f.yaml");
    CHECK(parsed->errors[0].line == c.line);
    CHECK(parsed->errors[0].path == c.path);
    CHECK(parsed->errors[0].reason.find(c.reason) != std::string::npos);
  }
}

TEST_CASE("yaml: all mistakes of a file are told at once") {
  const auto parsed = parse_yaml_file({"f.yaml",
                                       "apiVersion: v1\nkind: Service\nmetadata: {nam: x}\nspec:\n  ports:\n"
                                       "  - port: 0\n  - prt: 1\n"});
  CHECK(parsed->errors.size() >= 4);  // nam, name missing, port 0, prt, port missing
}

TEST_CASE("yaml: anchors cannot blow up a file") {
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    std::string list = before;
    for (int j = 1; j < 10; ++j) list += "," + before;
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + list + "]\n";
  }
  const auto parsed =
      parse_yaml_file({"f.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n  labels: {}\n" + bomb});
  CHECK(!parsed->errors.empty());
  const auto deep = parse_yaml_file({"f.yaml", std::string(100000, '[')});
  CHECK(!deep->errors.empty());
}

TEST_CASE("duration: the Gateway API's form and nothing else") {
  CHECK(parse_duration("1h30m") == Milliseconds(5400000));
  CHECK(parse_duration("250ms") == Milliseconds(250));
  CHECK(parse_duration("0s") == Milliseconds(0));
  for (const char* bad : {"", "5", "s", "1.5s", "-1s", "1d", "100000s", "1s1s1s1s1s", "1 s"}) {
    CAPTURE(bad);
    CHECK(!parse_duration(bad));
  }
}

TEST_CASE("model: what no document knows alone is checked") {
  struct Case {
    const char* name;
    std::string yaml;
    const char* path;
    const char* reason;
  };
  const std::string policy =
      "apiVersion: pillion.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {name: NAME, namespace: shop}\n"
      "spec: {targetRefs: [{name: TARGET}]}\n---\n";
  auto with = [&policy](std::string name, std::string target) {
    std::string out = policy;
    out.replace(out.find("NAME"), 4, name);
    out.replace(out.find("TARGET"), 6, target);
    return out;
  };
  const std::string tcp = service_yaml("db", "{clusterIP: 10.78.0.11, ports: [{name: tcp, port: 5432}]}");
  const std::vector<Case> cases = {
      {"unknown backend", kWeb + route("  - backendRefs: [{name: wev, port: 80}]\n"),
       "spec.rules[0].backendRefs[0].name", "did you mean web?"},
      {"unknown backend port", kWeb + route("  - backendRefs: [{name: web, port: 81}]\n"),
       "spec.rules[0].backendRefs[0].name", "has no port 81"},
      {"tcp backend", kWeb + tcp + route("  - backendRefs: [{name: db, port: 5432}]\n"),
       "spec.rules[0].backendRefs[0].name", "declared as tcp"},
      {"no backend", kWeb + route("  - matches: [{path: {value: /a}}]\n"), "spec.rules[0]", "no backendRefs"},
      {"overlap",
       kWeb + route("  - backendRefs: [{name: web, port: 80}]\n  - matches: [{path: {value: /}}]\n"
                    "    backendRefs: [{name: web, port: 80}]\n"),
       "spec.rules[1].matches[0]", "never reached"},
      {"prefix change without a prefix",
       kWeb + route("  - matches: [{path: {type: Exact, value: /a}}]\n"
                    "    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, "
                    "replacePrefixMatch: /}}}]\n"
                    "    backendRefs: [{name: web, port: 80}]\n"),
       "spec.rules[0].matches[0]", "PathPrefix"},
      {"port clash", kWeb + service_yaml("web2", "{clusterIP: 10.78.0.10, ports: [{name: http, port: 80}]}"),
       "spec.ports[0].port", "10.78.0.10:80 is already taken"},
      {"port twice", service_yaml("a", "{ports: [{name: x, port: 80}, {name: y, port: 80}]}"), "spec.ports[1].port",
       "given twice"},
      {"nameless port", service_yaml("a", "{ports: [{port: 80}, {name: y, port: 81}]}"), "spec.ports[0].port",
       "needs a name"},
      {"policy of nothing", kWeb + with("p", "wep"), "spec.targetRefs[0].name", "did you mean web?"},
      {"two policies", kWeb + with("p", "web") + with("q", "web"), "spec.targetRefs[0].name",
       "speaks for this already"},
      {"same document twice", kWeb + kWeb, "metadata.name", "already described at shop.yaml:3"},
      {"two protocols on one pod port",
       pod_yaml("p", "a", "z", "10.77.0.2") +
           service_yaml("x", "{selector: {app: a}, ports: [{name: http, port: 80}]}") +
           service_yaml("y", "{selector: {app: a}, ports: [{name: grpc, port: 80}]}"),
       "spec.ports[0].port", "is grpc here and http in Service shop/x"},
      {"two pods, one address", pod_yaml("p", "a", "z", "10.77.0.2") + pod_yaml("q", "a", "z", "10.77.0.2"),
       "metadata.name", "already taken by another pod"},
      {"slice of nothing",
       "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s, namespace: shop, labels: "
       "{kubernetes.io/service-name: web}}\naddressType: IPv4\n",
       "metadata.name", "Service shop/web does not exist"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const auto result = load(c.yaml);
    INFO(text_of(result.errors));
    REQUIRE(!result.errors.empty());
    CHECK(result.errors[0].path == c.path);
    CHECK(result.errors[0].line > 0);
    CHECK(result.errors[0].reason.find(c.reason) != std::string::npos);
    CHECK(result.model->services.empty());  // nothing of it took effect
  }
}

TEST_CASE("source: a bad file keeps its last good state, and the others change") {
  DirectorySource source;
  const SourceFile web{"web.yaml", kWeb};
  REQUIRE(source.apply({web}).errors.empty());
  const SourceFile api{"api.yaml", service_yaml("api", "{ports: [{name: http, port: 81}]}")};
  auto result = source.apply({{"web.yaml", "kind: ]"}, api});
  CHECK(result.errors.size() == 1);
  CHECK(result.errors[0].file == "web.yaml");
  CHECK(result.refused == std::vector<std::string>{"web.yaml"});
  CHECK(result.changed);
  CHECK(result.model->services.size() == 2);
  CHECK(source.good_files() == std::vector<SourceFile>{api, web});
  result = source.apply({{"web.yaml", "kind: ]"}, api});  // looked at again: nothing new
  CHECK(!result.changed);
  CHECK(result.errors.size() == 1);
  result = source.apply({web, api});
  CHECK(result.errors.empty());
}

TEST_CASE("source: who changed is refused, also where another file shows the mistake") {
  DirectorySource source;
  const SourceFile web{"web.yaml", kWeb};
  const SourceFile routes{"route.yaml", route("  - backendRefs: [{name: web, port: 80}]\n")};
  REQUIRE(source.apply({web, routes}).errors.empty());

  SUBCASE("a service that a route needs is removed") {
    const auto result = source.apply({routes});
    REQUIRE(!result.errors.empty());
    CHECK(result.errors[0].file == "web.yaml");
    CHECK(result.errors[0].reason.find("route.yaml:5") != std::string::npos);
    CHECK(!result.changed);
    CHECK(result.model->services.size() == 1);
  }
  SUBCASE("a port that a route needs is changed") {
    const auto result = source.apply(
        {{"web.yaml", service_yaml("web", "{clusterIP: 10.78.0.10, ports: [{name: http, port: 8}]}")}, routes});
    REQUIRE(!result.errors.empty());
    CHECK(result.refused == std::vector<std::string>{"web.yaml"});
    CHECK(result.model->services.at({"shop", "web"}).ports[0].port == 80);
  }
  SUBCASE("a new file describes what another one does") {
    const auto result = source.apply({{"a.yaml", kWeb}, web, routes});
    CHECK(result.refused == std::vector<std::string>{"a.yaml"});
  }
  SUBCASE("both sides change together") {
    const auto result = source.apply({{"web.yaml", service_yaml("web", "{ports: [{name: http, port: 8}]}")},
                                      {"route.yaml", route("  - backendRefs: [{name: web, port: 8}]\n")}});
    INFO(text_of(result.errors));
    CHECK(result.errors.empty());
    CHECK(result.changed);
  }
  SUBCASE("a document moves from one file to another") {
    const auto result = source.apply({{"moved.yaml", kWeb}, routes});
    CHECK(result.errors.empty());
  }
}

TEST_CASE("source: a restart with a bad file begins with the state that was in force") {
  DirectorySource before;
  REQUIRE(before.apply(shop_files()).errors.empty());
  DirectorySource after;
  CHECK(after.restore(before.good_files()).empty());
  auto files = shop_files();
  files[2].content = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {prots: []}\n";
  const auto result = after.apply(files);
  CHECK(!result.changed);
  CHECK(result.refused == std::vector<std::string>{"web.yaml"});
  CHECK(result.model->services.size() == 5);
}
