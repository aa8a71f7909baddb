#include "xds/api/any.h"

#include <google/protobuf/descriptor.h>
#include <udpa/type/v1/typed_struct.pb.h>
#include <xds/type/v3/typed_struct.pb.h>

#include <charconv>
#include <optional>

#include "xds/api/document_builder.h"
#include "xds/api/message_reader.h"
#include "xds/api/scalar_field.h"

namespace pillion::xds {

namespace {

namespace pb = google::protobuf;

struct TypedContent {
  std::string type_url;
  pb::Struct value;
};

bool is_typed_struct(std::string_view name) {
  return name == "udpa.type.v1.TypedStruct" || name == "xds.type.v3.TypedStruct";
}

template <class T>
std::optional<TypedContent> typed_content_of(const pb::Any& any) {
  T typed;
  if (!typed.ParseFromString(any.value())) return std::nullopt;
  return TypedContent{typed.type_url(), std::move(*typed.mutable_value())};
}

std::optional<TypedContent> typed_content(const pb::Any& any) {
  return type_name(any.type_url()) == "udpa.type.v1.TypedStruct" ? typed_content_of<udpa::type::v1::TypedStruct>(any)
                                                                 : typed_content_of<::xds::type::v3::TypedStruct>(any);
}

// A Struct is JSON that was parsed: it becomes a document again, without lines. Numbers lose nothing that a double
// has not lost already.
void add(DocumentBuilder& builder, const pb::Struct& value);

void add(DocumentBuilder& builder, const pb::Value& value) {
  switch (value.kind_case()) {
    case pb::Value::KIND_NOT_SET:
    case pb::Value::kNullValue: builder.null(0); break;
    case pb::Value::kBoolValue: builder.scalar(0, value.bool_value() ? "true" : "false", false); break;
    case pb::Value::kStringValue: builder.scalar(0, value.string_value(), true); break;
    case pb::Value::kStructValue: add(builder, value.struct_value()); break;
    case pb::Value::kNumberValue: {
      char text[32];
      const auto end = std::to_chars(text, text + sizeof text, value.number_value()).ptr;
      builder.scalar(0, std::string(text, end), false);
      break;
    }
    case pb::Value::kListValue:
      builder.begin(Node::Kind::list, 0);
      for (const pb::Value& item : value.list_value().values()) add(builder, item);
      builder.end();
      break;
  }
}

void add(DocumentBuilder& builder, const pb::Struct& value) {
  builder.begin(Node::Kind::map, 0);
  for (const auto& [key, item] : value.fields()) {
    builder.key(0, key, false);
    add(builder, item);
  }
  builder.end();
}

std::expected<void, ConfigError> read_struct(const pb::Struct& value, std::string_view path, pb::Message& out) {
  try {
    DocumentBuilder builder("");
    add(builder, value);
    const Document document = builder.take();
    std::vector<ConfigError> errors = read_message(document, document.root(), path, out, 1);
    if (!errors.empty()) return std::unexpected(std::move(errors.front()));
    return {};
  } catch (const ParseStop& stop) {
    return std::unexpected(ConfigError{"", 0, std::string(path), stop.reason});
  }
}

std::unexpected<ConfigError> fail(std::string_view path, std::string reason) {
  return std::unexpected(ConfigError{"", 0, std::string(path), std::move(reason)});
}

}  // namespace

std::string content_type(const pb::Any& any) {
  const std::string_view name = type_name(any.type_url());
  if (!is_typed_struct(name)) return std::string(name);
  const auto content = typed_content(any);
  return content ? std::string(type_name(content->type_url)) : std::string();
}

std::expected<std::unique_ptr<pb::Message>, ConfigError> unpack_message(const pb::Any& any, std::string_view path) {
  const std::string name = content_type(any);
  const pb::Descriptor* type = find_type(std::string(kTypeUrlPrefix) + name);
  if (type == nullptr) {
    return fail(path, name.empty() ? "no message where one is needed" : unknown_type(quoted_for_error(name), name));
  }
  std::unique_ptr<pb::Message> message = new_message(*type);
  if (auto done = unpack_into(any, *message, path); !done) return std::unexpected(std::move(done.error()));
  return message;
}

std::expected<void, ConfigError> unpack_into(const pb::Any& any, pb::Message& out, std::string_view path) {
  const std::string& wanted = out.GetDescriptor()->full_name();
  const std::string_view name = type_name(any.type_url());
  if (is_typed_struct(name) && wanted != name) {
    const auto content = typed_content(any);
    if (!content) return fail(path, "the bytes are not a " + std::string(name));
    if (type_name(content->type_url) != wanted) {
      return fail(path, "expected a " + wanted + ", got " + quoted_for_error(content->type_url));
    }
    return read_struct(content->value, std::string(path) + (path.empty() ? "value" : ".value"), out);
  }
  if (name != wanted) return fail(path, "expected a " + wanted + ", got " + quoted_for_error(any.type_url()));
  if (!out.ParseFromString(any.value())) return fail(path, "the bytes are not a " + wanted);
  return {};
}

}  // namespace pillion::xds
