// What every part of a translation carries along: where it is in the message, and what it has found wrong so far. A
// part that finds something wrong says so and goes on with a default, so that one run can tell several errors.
#pragma once

#include <google/protobuf/any.pb.h>
#include <google/protobuf/message.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "xds/api/any.h"
#include "xds/api/field_path.h"
#include "xds/translate/translate.h"

namespace pillion::xds {

class Context {
 public:
  Context(const TranslationOptions& options, std::string_view root, size_t errors_max)
      : options_(options), path_(root), errors_max_(errors_max) {}

  const TranslationOptions& options() const { return options_; }

  // Steps down; the name outlives the scope.
  FieldPath::Scope field(std::string_view name) { return path_.field(name); }
  FieldPath::Scope index(size_t index) { return path_.index(index); }
  FieldPath::Scope key(std::string_view key) { return path_.key(key); }
  std::string path() const { return path_.to_string(); }

  void fail(std::string reason) { add({"", 0, path(), std::move(reason)}); }
  void fail_at(std::string_view field, std::string reason) {
    const auto at = path_.field(field);
    fail(std::move(reason));
  }
  void unsupported(std::string_view field) { fail_at(field, "is not supported by Pillion"); }
  void unsupported_if(bool condition, std::string_view field) {
    if (condition) unsupported(field);
  }
  void add(ConfigError error) {
    if (errors_.size() < errors_max_) errors_.push_back(std::move(error));
  }

  size_t errors_max() const { return errors_max_; }
  bool failed() const { return !errors_.empty(); }
  std::vector<ConfigError> take_errors() { return std::move(errors_); }

 private:
  const TranslationOptions& options_;
  FieldPath path_;
  size_t errors_max_;
  std::vector<ConfigError> errors_;
};

// The message of an Any that holds a T; none after an error.
template <class T>
std::optional<T> unpack_any(Context& cx, const google::protobuf::Any& any) {
  auto message = unpack<T>(any, cx.path());
  if (message) return std::move(*message);
  cx.add(std::move(message.error()));
  return std::nullopt;
}

// 64 bits of the message's deterministic bytes.
uint64_t hash_of(const google::protobuf::Message& message);

template <class T>
Translated<T> finish(Context& cx, std::shared_ptr<T> value) {
  if (cx.failed()) return std::unexpected(std::move(cx.take_errors().front()));
  return value;
}

}  // namespace pillion::xds
