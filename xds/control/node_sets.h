// The resource sets of the model in force, one per class of nodes, shared by the streams of the class.
#pragma once

#include <map>
#include <memory>

#include "xds/control/translate.h"

namespace pillion::xds::control {

class NodeSets {
 public:
  explicit NodeSets(TranslateOptions options) : options_(std::move(options)) {}

  // From now on sets are made of this model. Classes that nobody asks for again are forgotten with the next model.
  void set_model(std::shared_ptr<const Model> model);
  const std::shared_ptr<const Model>& model() const { return model_; }

  // The same pointer as before the last set_model() where nothing of it has changed.
  std::shared_ptr<const ResourceSet> of(const NodeClass& node);
  size_t classes() const { return sets_.size(); }

 private:
  using Sets = std::map<NodeClass, std::shared_ptr<const ResourceSet>>;

  TranslateOptions options_;
  std::shared_ptr<const Model> model_;
  Sets sets_;
  Sets previous_;
};

}  // namespace pillion::xds::control
