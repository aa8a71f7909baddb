#include "xds/api/message_reader.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/field_mask_util.h>
#include <google/protobuf/util/time_util.h>

#include "xds/api/field_path.h"
#include "xds/api/nearest.h"
#include "xds/api/scalar.h"
#include "xds/api/scalar_field.h"
#include "xds/api/type_url.h"

namespace pillion::xds {

namespace {

namespace pb = google::protobuf;
using Known = pb::Descriptor::WellKnownType;

constexpr size_t kMaxNamesListed = 8;  // In an error about an unknown field.

// Where a structure is wanted: the text itself is not shown, it may be a key that stands one level too high.
std::string describe(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null: return "nothing";
    case Node::Kind::list: return "a list";
    case Node::Kind::map: return "a map";
    case Node::Kind::scalar: return node.quoted ? "a text" : "a plain value";
  }
  return {};
}

std::string unknown_field(std::string_view name, const pb::Descriptor& type) {
  std::vector<std::string_view> names;
  for (int i = 0; i < type.field_count(); ++i) names.push_back(type.field(i)->name());
  std::string reason = type.full_name() + " has no field " + quoted_for_error(name);
  if (const auto near = nearest(name, names)) return reason.append("; did you mean \"").append(*near) + "\"?";
  if (names.empty()) return reason + ", nor any other";
  if (names.size() > kMaxNamesListed) return reason;
  reason += "; it has";
  for (size_t i = 0; i < names.size(); ++i) reason.append(i == 0 ? " " : ", ").append(names[i]);
  return reason;
}

const pb::FieldDescriptor* find_field(const pb::Descriptor& type, const std::string& name) {
  if (const auto* field = type.FindFieldByName(name)) return field;
  if (const auto* field = type.FindFieldByCamelcaseName(name)) return field;
  for (int i = 0; i < type.field_count(); ++i) {
    if (type.field(i)->json_name() == name) return type.field(i);
  }
  return nullptr;
}

bool is_message(const pb::FieldDescriptor& field) {
  return field.cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE;
}

bool is_field_mask(const pb::Descriptor& type) {
  return type.full_name() == "google.protobuf.FieldMask";
}

// Has a JSON form of its own, so that inside an Any it stands in "value" and not beside "@type".
bool has_own_form(const pb::Descriptor& type) {
  return type.well_known_type() != Known::WELLKNOWNTYPE_UNSPECIFIED || is_field_mask(type);
}

class Reader {
 public:
  Reader(const Document& document, std::string_view root_path, size_t errors_max)
      : document_(document), path_(root_path), errors_max_(errors_max) {}

  void read(const Node& node, pb::Message& out);
  std::vector<ConfigError> take_errors() { return std::move(errors_); }

 private:
  // A value that cannot be read is left out, and what stands beside it is read on.
  void fail(int line, std::string reason) {
    if (is_over()) return;
    errors_.push_back(document_.error_at(line, path_.to_string(), std::move(reason)));
  }
  void fail_for_good(int line, std::string reason) {
    fail(line, std::move(reason));
    errors_max_ = errors_.size();
  }
  bool is_over() const { return errors_.size() >= errors_max_; }
  void expected_a(const char* what, const Node& node) {
    fail(node.line, std::string("expected ") + what + ", got " + describe(node));
  }

  void read_fields(const Node& map, pb::Message& out, std::string_view skipped_key = {});
  void read_field(const Node& value, int line, const pb::FieldDescriptor& field, pb::Message& out);
  void read_list(const Node& value, const pb::FieldDescriptor& field, pb::Message& out);
  void read_map(const Node& value, const pb::FieldDescriptor& field, pb::Message& out);
  void read_item(const Node& value, const pb::FieldDescriptor& field, pb::Message& out);

  void read_any(const Node& node, pb::Any& out);
  void read_duration(const Node& node, pb::Duration& out);
  void read_timestamp(const Node& node, pb::Timestamp& out);
  void read_field_mask(const Node& node, pb::Message& out);
  void read_struct(const Node& node, pb::Struct& out);
  void read_value(const Node& node, pb::Value& out);
  void read_values(const Node& node, pb::ListValue& out);
  bool visit(const Node& node);  // false: go no deeper

  struct Deeper {
    explicit Deeper(size_t& depth) : depth(depth) { ++depth; }
    ~Deeper() { --depth; }
    size_t& depth;
  };

  const Document& document_;
  FieldPath path_;
  size_t errors_max_;
  std::vector<ConfigError> errors_;
  size_t visited_ = 0;
  size_t depth_ = 0;
};

// The builder's limits hold for what is written; these hold for what aliases make of it.
bool Reader::visit(const Node& node) {
  if (++visited_ > kMaxNodes) {
    fail_for_good(node.line, "aliases make more than " + std::to_string(kMaxNodes) + " values");
  } else if (depth_ > kMaxNodeDepth) {
    fail_for_good(node.line, "nested deeper than " + std::to_string(kMaxNodeDepth) + " levels");
  }
  return !is_over();
}

void Reader::read(const Node& node, pb::Message& out) {
  const Deeper deeper(depth_);
  if (!visit(node)) return;
  const pb::Descriptor& type = *out.GetDescriptor();
  const bool is_scalar = node.kind == Node::Kind::scalar;
  switch (type.well_known_type()) {
    case Known::WELLKNOWNTYPE_ANY: return read_any(node, static_cast<pb::Any&>(out));
    case Known::WELLKNOWNTYPE_STRUCT: return read_struct(node, static_cast<pb::Struct&>(out));
    case Known::WELLKNOWNTYPE_VALUE: return read_value(node, static_cast<pb::Value&>(out));
    case Known::WELLKNOWNTYPE_LISTVALUE: return read_values(node, static_cast<pb::ListValue&>(out));
    // Like Envoy, the others may also be written as the plain messages that they are: {seconds: 5}, {value: true}.
    case Known::WELLKNOWNTYPE_DURATION:
      if (is_scalar) return read_duration(node, static_cast<pb::Duration&>(out));
      break;
    case Known::WELLKNOWNTYPE_TIMESTAMP:
      if (is_scalar) return read_timestamp(node, static_cast<pb::Timestamp&>(out));
      break;
    case Known::WELLKNOWNTYPE_UNSPECIFIED:
      if (is_scalar && is_field_mask(type)) return read_field_mask(node, out);
      break;
    default:
      if (is_scalar) return read_item(node, *type.FindFieldByNumber(1), out);  // The wrappers.
  }
  if (node.kind == Node::Kind::null) return;
  if (node.kind != Node::Kind::map) return expected_a("a map of fields", node);
  return read_fields(node, out);
}

// === fields ===

void Reader::read_fields(const Node& map, pb::Message& out, std::string_view skipped_key) {
  const pb::Descriptor& type = *out.GetDescriptor();
  for (const Node::Entry& entry : map.entries) {
    if (is_over()) return;
    if (!skipped_key.empty() && entry.key == skipped_key) continue;
    const pb::FieldDescriptor* field = find_field(type, entry.key);
    if (field == nullptr) {
      fail(entry.line, unknown_field(entry.key, type));
      continue;
    }
    const auto scope = path_.field(field->name());
    read_field(*entry.value, entry.line, *field, out);
  }
}

void Reader::read_field(const Node& value, int line, const pb::FieldDescriptor& field, pb::Message& out) {
  const pb::Reflection& reflection = *out.GetReflection();
  const bool takes_null = is_message(field) && field.message_type()->well_known_type() == Known::WELLKNOWNTYPE_VALUE;
  if (value.kind == Node::Kind::null && !takes_null) return;  // Written without a value: as if not written.
  if (field.is_map()) return read_map(value, field, out);
  if (field.is_repeated()) return read_list(value, field, out);

  const pb::OneofDescriptor* oneof = field.real_containing_oneof();
  const pb::FieldDescriptor* other = oneof == nullptr ? nullptr : reflection.GetOneofFieldDescriptor(out, oneof);
  if (other == &field || (oneof == nullptr && field.has_presence() && reflection.HasField(out, &field))) {
    return fail(line, "given twice, as " + field.name() + " and as " + field.json_name());
  }
  if (other != nullptr) return fail(line, "cannot stand beside " + other->name() + ": only one of the two is possible");
  return read_item(value, field, out);
}

void Reader::read_list(const Node& value, const pb::FieldDescriptor& field, pb::Message& out) {
  if (value.kind != Node::Kind::list) return read_item(value, field, out);  // One item without its brackets.
  for (size_t i = 0; i < value.entries.size() && !is_over(); ++i) {
    const auto scope = path_.index(i);
    const Node& item = *value.entries[i].value;
    const bool takes_null = is_message(field) && field.message_type()->well_known_type() == Known::WELLKNOWNTYPE_VALUE;
    if (item.kind == Node::Kind::null && !takes_null) {
      fail(value.entries[i].line, "this item is empty");
    } else {
      read_item(item, field, out);
    }
  }
}

void Reader::read_map(const Node& value, const pb::FieldDescriptor& field, pb::Message& out) {
  if (value.kind != Node::Kind::map) return expected_a("a map", value);
  const pb::FieldDescriptor& key_field = *field.message_type()->map_key();
  const pb::FieldDescriptor& value_field = *field.message_type()->map_value();
  for (const Node::Entry& entry : value.entries) {
    if (is_over()) return;
    const auto scope = path_.key(entry.key);
    pb::Message* made = out.GetReflection()->AddMessage(&out, &field);
    Node key;
    key.kind = Node::Kind::scalar;
    key.quoted = true;
    key.line = entry.line;
    key.text = entry.key;
    read_item(key, key_field, *made);
    read_field(*entry.value, entry.line, value_field, *made);
  }
}

// One value into a singular field, or at the end of a repeated one.
void Reader::read_item(const Node& value, const pb::FieldDescriptor& field, pb::Message& out) {
  if (is_message(field)) {
    const pb::Reflection& reflection = *out.GetReflection();
    return read(value,
                field.is_repeated() ? *reflection.AddMessage(&out, &field) : *reflection.MutableMessage(&out, &field));
  }
  if (!visit(value)) return;
  if (value.kind != Node::Kind::scalar) return fail(value.line, wanted(field) + ", got " + describe(value));
  if (auto problem = store_scalar(value.text, value.quoted, field, out)) return fail(value.line, *problem);
}

// === messages with a form of their own ===

void Reader::read_any(const Node& node, pb::Any& out) {
  if (node.kind == Node::Kind::null) return;
  if (node.kind != Node::Kind::map) return expected_a("a map with \"@type\"", node);
  if (node.entries.empty()) return;
  const Node* url = node.find("@type");
  if (url == nullptr) return fail(node.line, "\"@type\" is missing: it names the message that this is");
  const pb::Descriptor* type = url->kind == Node::Kind::scalar ? find_type(url->text) : nullptr;
  if (type == nullptr) {
    const auto scope = path_.field("@type");
    return fail(url->line, unknown_type(quoted_for_error(url->text), url->text));
  }
  const std::unique_ptr<pb::Message> payload = new_message(*type);
  const Node* value = node.find("value");
  if (value != nullptr && (has_own_form(*type) || type->field_count() == 0)) {
    if (node.entries.size() != 2) return fail(node.line, "beside \"@type\" there may only be \"value\"");
    const auto scope = path_.field("value");
    read(*value, *payload);
  } else {
    const Deeper deeper(depth_);
    read_fields(node, *payload, "@type");
  }
  pack_deterministic(*payload, url->text, out);
}

void Reader::read_duration(const Node& node, pb::Duration& out) {
  const auto duration = parse_duration(node.text);
  if (!duration) {
    return fail(node.line,
                quoted_for_error(node.text) + " is not a duration: write seconds, as in \"5s\" or \"0.25s\"");
  }
  out.set_seconds(duration->seconds);
  out.set_nanos(duration->nanos);
}

void Reader::read_timestamp(const Node& node, pb::Timestamp& out) {
  if (pb::util::TimeUtil::FromString(node.text, &out)) return;
  return fail(node.line, quoted_for_error(node.text) + " is not a time: write it as in \"2026-01-31T12:00:00Z\"");
}

void Reader::read_field_mask(const Node& node, pb::Message& out) {
  if (pb::util::FieldMaskUtil::FromJsonString(node.text, static_cast<pb::FieldMask*>(&out))) return;
  return fail(node.line, quoted_for_error(node.text) + " is not a list of field paths: write it as in \"a.b,c\"");
}

void Reader::read_struct(const Node& node, pb::Struct& out) {
  if (node.kind == Node::Kind::null) return;
  if (node.kind != Node::Kind::map) return expected_a("a map", node);
  for (const Node::Entry& entry : node.entries) {
    if (is_over()) return;
    const auto scope = path_.field(entry.key);
    read(*entry.value, (*out.mutable_fields())[entry.key]);
  }
}

void Reader::read_value(const Node& node, pb::Value& out) {
  switch (node.kind) {
    case Node::Kind::null: out.set_null_value(pb::NULL_VALUE); return;
    case Node::Kind::map: return read_struct(node, *out.mutable_struct_value());
    case Node::Kind::list: return read_values(node, *out.mutable_list_value());
    case Node::Kind::scalar: break;
  }
  if (node.quoted) {
    out.set_string_value(node.text);
  } else if (const auto boolean = parse_yaml_bool(node.text)) {
    out.set_bool_value(*boolean);
  } else if (const auto integer = parse_plain_integer(node.text)) {
    out.set_number_value((integer->negative ? -1.0 : 1.0) * static_cast<double>(integer->magnitude));
  } else if (const auto number = parse_double(node.text)) {
    out.set_number_value(*number);
  } else {
    out.set_string_value(node.text);
  }
}

void Reader::read_values(const Node& node, pb::ListValue& out) {
  if (node.kind != Node::Kind::list) return expected_a("a list", node);
  for (size_t i = 0; i < node.entries.size() && !is_over(); ++i) {
    const auto scope = path_.index(i);
    read(*node.entries[i].value, *out.add_values());
  }
}

}  // namespace

std::vector<ConfigError> read_message(const Document& document, const Node& node, std::string_view root_path,
                                      google::protobuf::Message& out, size_t errors_max) {
  Reader reader(document, root_path, errors_max);
  reader.read(node, out);
  return reader.take_errors();
}

}  // namespace pillion::xds
