// An error in something a person wrote (bootstrap, policy YAML, a resource sent over xDS). It names the place and the
// way out, so that the reader never has to guess: `mesh.yaml:12: resources[0].route.timeout: "abc" is not a duration`.
#pragma once

#include <string>

namespace pillion {

struct ConfigError {
  std::string file;    // The file, or the resource's name for xDS ("listener virtualOutbound"); may be empty.
  int line = 0;        // 1-based; 0 where there are no lines (xDS, binary).
  std::string path;    // The field, from the root of the document: `static_resources.clusters[2].lb_policy`.
  std::string reason;  // What is wrong and what would be right, as a sentence without a full stop.

  std::string to_string() const {
    std::string out = file;
    if (line > 0) out += (out.empty() ? "line " : ":") + std::to_string(line);
    if (!out.empty()) out += ": ";
    if (!path.empty()) out += path + ": ";
    return out + reason;
  }
};

}  // namespace pillion
