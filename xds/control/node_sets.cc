#include "xds/control/node_sets.h"

namespace pillion::xds::control {

void NodeSets::set_model(std::shared_ptr<const Model> model) {
  model_ = std::move(model);
  previous_ = std::move(sets_);
  sets_.clear();
}

std::shared_ptr<const ResourceSet> NodeSets::of(const NodeClass& node) {
  auto [it, fresh] = sets_.try_emplace(node);
  if (!fresh) return it->second;
  std::shared_ptr<ResourceSet> set = translate(*model_, node, options_);
  // Most of it is the same for all classes.
  if (auto other = sets_.begin(); other->second != nullptr) set->share_with(*other->second);
  if (auto before = previous_.find(node); before != previous_.end()) {
    if (before->second->version() == set->version()) return it->second = before->second;
    set->share_with(*before->second);
  }
  return it->second = std::move(set);
}

}  // namespace pillion::xds::control
