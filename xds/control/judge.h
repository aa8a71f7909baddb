// Holds what would be sent to proxies to the same constraints as a proxy does, before it comes into force: a change
// that proxies would refuse is refused at its source.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "xds/control/model_check.h"
#include "xds/control/translate.h"
#include "xds/control/yaml_source.h"

namespace pillion::xds::control {

class TranslationJudge final : public ModelJudge {
 public:
  // Nodes of one service account differ by zone and pod only; so many accounts are tried at each change.
  static constexpr size_t kAccountsMax = 32;

  explicit TranslationJudge(TranslateOptions options) : options_(std::move(options)) {}
  std::vector<Problem> judge(const Model& model) override;

 private:
  static std::vector<NodeClass> classes_of(const Model& model);
  void judge_set(NodeClass::Kind kind, const ResourceSet& set, std::set<std::string>& accepted,
                 std::vector<Problem>& out) const;

  TranslateOptions options_;
  std::set<std::string> accepted_;  // kind, type and version of what was accepted last time: not judged again
};

// What is wrong with one resource; none where it is accepted: the API's constraints, and for a sidecar what Pillion
// itself says to it. What only gRPC's own client is sent need not be known to Pillion.
std::vector<ConfigError> check_resource(NodeClass::Kind kind, std::string_view type_url, const Resource& resource);

}  // namespace pillion::xds::control
