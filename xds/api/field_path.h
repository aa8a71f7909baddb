// Where a value stands in a document or a message: `static_resources.clusters[2].metadata.filter_metadata["envoy.lb"]`.
// Fields carry their proto names whatever the document wrote (connect_timeout, also for connectTimeout), so that an
// error found later in the message names the same place as one found while reading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pillion::xds {

struct PathStep {
  enum class Kind : uint8_t { field, index, key };
  Kind kind = Kind::field;
  std::string_view name;  // For field and key; unescaped.
  size_t index = 0;
};

// A stack that follows a walk down a message. Steps refer to names that outlive the walk (descriptors, the document).
class FieldPath {
 public:
  // `root` is written in front of everything; it may be empty.
  explicit FieldPath(std::string_view root = {}) : root_(root) {}

  // Undoes one step when it leaves its scope.
  class [[nodiscard]] Scope {
   public:
    explicit Scope(FieldPath& path) : path_(path) {}
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope() { path_.steps_.pop_back(); }

   private:
    FieldPath& path_;
  };

  Scope field(std::string_view name) { return push({PathStep::Kind::field, name, 0}); }
  Scope index(size_t index) { return push({PathStep::Kind::index, {}, index}); }
  Scope key(std::string_view key) { return push({PathStep::Kind::key, key, 0}); }

  std::string to_string() const;

 private:
  Scope push(PathStep step) {
    steps_.push_back(step);
    return Scope(*this);
  }

  std::string root_;
  std::vector<PathStep> steps_;
};

// The first step of a written path, which is taken off `rest`; none at the end or where the text is no path.
std::optional<PathStep> next_step(std::string_view& rest);

}  // namespace pillion::xds
