// Cross-checks of a linked Model: what no single document can know about itself.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "xds/control/model.h"

namespace pillion::xds::control {

// Which document is to blame is a question of what changed last, so a problem also says who else takes part in it:
// the other side of a clash, or the object that is not there (any more).
struct Problem {
  ConfigError error;
  std::string other_file;  // of a clash; may be empty
  std::string missing;     // "Service shop/web"; may be empty
};

std::vector<Problem> check_model(const Model& model);

// "Service shop/web": how Problem::missing and the errors name an object.
std::string object_name(std::string_view kind, const Name& name);

// The parts of check_model, in its order.
void check_services(const Model& model, std::vector<Problem>& out);
void check_endpoints(const Model& model, std::vector<Problem>& out);
void check_routes(const Model& model, std::vector<Problem>& out);
void check_policies(const Model& model, std::vector<Problem>& out);

}  // namespace pillion::xds::control
