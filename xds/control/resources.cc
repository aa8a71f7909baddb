#include "xds/control/resources.h"

#include <google/protobuf/any.pb.h>

#include "xds/api/any.h"

namespace pillion::xds::control {

Hash& Hash::add(std::string_view bytes) {
  for (const unsigned char c : bytes) state_ = (state_ ^ c) * 1099511628211ull;
  state_ = (state_ ^ 0xff) * 1099511628211ull;  // ends the part, so that ("a","b") and ("ab","") differ
  return *this;
}

std::string Hash::hex() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out(16, '0');
  for (int i = 0; i < 16; ++i) out[i] = kDigits[(state_ >> (60 - 4 * i)) & 15];
  return out;
}

void ResourceSet::add(std::string_view type_url, std::string name, const google::protobuf::Message& message) {
  google::protobuf::Any any;
  pack_deterministic(message, type_url, any);
  auto resource = std::make_shared<Resource>();
  resource->version = Hash().add(any.value()).hex();
  resource->body = std::move(*any.mutable_value());
  resource->name = name;
  types_[std::string(type_url)].insert_or_assign(std::move(name), std::move(resource));
}

void ResourceSet::share_with(const ResourceSet& previous) {
  for (auto& [type, resources] : types_) {
    const ResourceMap& old = previous.of(type);
    for (auto& [name, resource] : resources) {
      auto it = old.find(name);
      if (it != old.end() && it->second->body == resource->body) resource = it->second;
    }
  }
}

const ResourceMap& ResourceSet::of(std::string_view type_url) const {
  static const ResourceMap kNone;
  auto it = types_.find(type_url);
  return it == types_.end() ? kNone : it->second;
}

const Resource* ResourceSet::find(std::string_view type_url, std::string_view name) const {
  const ResourceMap& resources = of(type_url);
  auto it = resources.find(name);
  return it == resources.end() ? nullptr : it->second.get();
}

std::string ResourceSet::version() const {
  Hash hash;
  for (const auto& [type, resources] : types_) hash.add(type).add(version(type));
  return hash.hex();
}

std::string ResourceSet::version(std::string_view type_url) const {
  Hash hash;
  for (const auto& [name, resource] : of(type_url)) hash.add(name).add(resource->version);
  return hash.hex();
}

size_t ResourceSet::size() const {
  size_t out = 0;
  for (const auto& [type, resources] : types_) out += resources.size();
  return out;
}

ResourceDiff diff(const ResourceMap& before, const ResourceMap& after) {
  ResourceDiff out;
  for (const auto& [name, resource] : after) {
    auto it = before.find(name);
    if (it == before.end() || it->second->version != resource->version) out.changed.push_back(name);
  }
  for (const auto& [name, resource] : before) {
    if (!after.contains(name)) out.removed.push_back(name);
  }
  return out;
}

}  // namespace pillion::xds::control
