#include "xds/client/redact.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <udpa/annotations/sensitive.pb.h>

#include "xds/api/any.h"

namespace pillion::xds::client {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr const char* kRedacted = "[redacted]";

void redact_any(google::protobuf::Any& any, bool sensitive);

void redact_scalar(Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_STRING) {
    reflection.ClearField(&message, &field);
  } else if (!field.is_repeated()) {
    reflection.SetString(&message, &field, kRedacted);
  } else {
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
      reflection.SetRepeatedString(&message, &field, i, kRedacted);
    }
  }
}

void walk(Message& message, bool sensitive) {
  if (auto* any = dynamic_cast<google::protobuf::Any*>(&message)) {
    redact_any(*any, sensitive);
    return;
  }
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const bool hidden = sensitive || field->options().GetExtension(udpa::annotations::sensitive);
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      if (hidden) redact_scalar(message, *field);
    } else if (field->is_repeated()) {
      for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
        walk(*reflection.MutableRepeatedMessage(&message, field, i), hidden);
      }
    } else {
      walk(*reflection.MutableMessage(&message, field), hidden);
    }
  }
}

void redact_any(google::protobuf::Any& any, bool sensitive) {
  const google::protobuf::Descriptor* type = find_type(any.type_url());
  if (type == nullptr) {
    any.clear_value();
    return;
  }
  std::unique_ptr<Message> content = new_message(*type);
  if (!content->ParseFromString(any.value())) {
    any.clear_value();
    return;
  }
  walk(*content, sensitive);
  content->SerializeToString(any.mutable_value());
}

}  // namespace

void redact(Message& message) {
  walk(message, false);
}

}  // namespace pillion::xds::client
