// Resources with the hash of their content as version, so that equal content has an equal version whichever process
// made it, and a set per class of nodes whose unchanged parts are shared with the set before.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pillion::xds::control {

struct Resource {
  std::string name;
  std::string version;  // hex of the hash of body
  std::string body;     // the message, serialized deterministically: the value of the Any
};
using ResourcePtr = std::shared_ptr<const Resource>;
using ResourceMap = std::map<std::string, ResourcePtr, std::less<>>;

// FNV-1a, 64 bits: tells two states of one resource apart. Nothing hostile is hashed.
class Hash {
 public:
  Hash& add(std::string_view bytes);
  std::string hex() const;  // 16 digits

 private:
  uint64_t state_ = 14695981039346656037ull;
};

class ResourceSet {
 public:
  // `type_url` is one of xds/api/any.h. A second resource of a name replaces the first.
  void add(std::string_view type_url, std::string name, const google::protobuf::Message& message);
  // Uses `previous`' resources where the content is the same, so that sets share memory.
  void share_with(const ResourceSet& previous);

  const ResourceMap& of(std::string_view type_url) const;  // empty where there is none
  const Resource* find(std::string_view type_url, std::string_view name) const;
  std::string version() const;  // of everything: a revision as proxies know it
  std::string version(std::string_view type_url) const;
  size_t size() const;

 private:
  std::map<std::string, ResourceMap, std::less<>> types_;
};

struct ResourceDiff {
  std::vector<std::string> changed;  // new ones too
  std::vector<std::string> removed;
};
ResourceDiff diff(const ResourceMap& before, const ResourceMap& after);

}  // namespace pillion::xds::control
