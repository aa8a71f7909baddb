// The last opinion on a model: what proxies would refuse, and whose change brought it.
#include "xds/control/judge.h"

#include <envoy/config/cluster/v3/cluster.pb.h>

#include "tests/unit/xds_control/support.h"

using namespace pillion;
using namespace pillion::xds;
using namespace pillion::xds::control;
using namespace pillion::xds::control::testing;

namespace {

// Refuses every model that has a service of this name, and cannot say which file it is from.
class NoService final : public ModelJudge {
 public:
  explicit NoService(std::string name) : name_(std::move(name)) {}
  std::vector<Problem> judge(const Model& model) override {
    if (!model.services.contains({"shop", name_})) return {};
    return {{{"", 0, "", "a proxy would refuse what is made of this"}, "", ""}};
  }

 private:
  std::string name_;
};

SourceFile service_file(const std::string& path, const std::string& name, int port) {
  return {path, service_yaml(name, "{clusterIP: 10.0.0." + std::to_string(port) +
                                       ", ports: [{name: http, port: " + std::to_string(port) + "}]}")};
}

}  // namespace

TEST_CASE("judge: everything that is made of the shop is accepted") {
  DirectorySource source;
  const auto result = source.apply(shop_files());
  REQUIRE(result.errors.empty());
  TranslationJudge judge({});
  for (const Problem& problem : judge.judge(*result.model)) CHECK(problem.error.to_string() == "");
  CHECK(judge.judge(*result.model).empty());  // from what was accepted before
}

TEST_CASE("judge: a resource that breaks a constraint of the API is named with its field") {
  ResourceSet set;
  envoy::config::cluster::v3::Cluster cluster;
  cluster.set_name("web");
  cluster.mutable_connect_timeout()->set_seconds(-1);
  set.add(kClusterType, "web", cluster);
  const auto errors = check_resource(NodeClass::Kind::sidecar, kClusterType, *set.of(kClusterType).at("web"));
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].file == "envoy.config.cluster.v3.Cluster web");
  CHECK(errors[0].path == "connect_timeout");
  Resource damaged{"web", "v", "\xff\xff"};
  CHECK(check_resource(NodeClass::Kind::sidecar, kClusterType, damaged).size() == 1);
  CHECK(check_resource(NodeClass::Kind::sidecar, "type.googleapis.com/nothing.Known", damaged).size() == 1);
}

TEST_CASE("yaml_source: of several changes, the one that the judge's refusal hangs on goes back alone") {
  NoService judge("bad");
  DirectorySource source(&judge);
  REQUIRE(source.apply({service_file("a.yaml", "a", 1)}).errors.empty());
  const auto result =
      source.apply({service_file("a.yaml", "a", 2), service_file("b.yaml", "bad", 3), service_file("c.yaml", "c", 4)});
  CHECK(result.changed);
  CHECK(text_of(result.refused) == "b.yaml");
  CHECK(text_of(result.errors) ==
        "b.yaml: its change is refused, because of a proxy would refuse what is made of this\n");
  CHECK(result.model->services.contains({"shop", "c"}));
  CHECK_FALSE(result.model->services.contains({"shop", "bad"}));
}

TEST_CASE("yaml_source: a file that cannot be read keeps its last good state") {
  DirectorySource source;
  REQUIRE(source.apply({service_file("a.yaml", "a", 1)}).errors.empty());
  const auto result = source.apply({{"a.yaml", "", "cannot be read: Permission denied"}});
  CHECK_FALSE(result.changed);
  CHECK(text_of(result.errors) == "a.yaml: cannot be read: Permission denied\n");
  CHECK(result.model->services.contains({"shop", "a"}));
  CHECK(source.apply({service_file("a.yaml", "a", 1)}).errors.empty());
}
