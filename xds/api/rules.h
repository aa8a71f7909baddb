// The single values among the constraints of protoc-gen-validate: numbers, texts, bytes, enums. Each check gives what
// must be, as the rest of a sentence ("must be at least 1"), or none.
//
// Implemented is what the v3 API uses; a test walks all generated types and fails on a rule that is not known here.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <validate/validate.pb.h>

#include <optional>
#include <string>
#include <string_view>

namespace pillion::xds {

using Violation = std::optional<std::string>;

// `index` is -1 for a singular field.
Violation check_scalar(const google::protobuf::Message& message, const google::protobuf::FieldDescriptor& field,
                       int index, const validate::FieldRules& rules);
Violation check_duration(const google::protobuf::Duration& value, const validate::DurationRules& rules);
Violation check_any(std::string_view type_url, const validate::AnyRules& rules);

}  // namespace pillion::xds
