#include "xds/api/validate.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/message.h>
#include <validate/validate.pb.h>

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>

#include "xds/api/any.h"
#include "xds/api/field_path.h"
#include "xds/api/rules.h"

namespace pillion::xds {

namespace {

namespace pb = google::protobuf;
using Field = pb::FieldDescriptor;
using Known = pb::Descriptor::WellKnownType;

bool is_message(const Field& field) {
  return field.cpp_type() == Field::CPPTYPE_MESSAGE;
}

bool is_required(const validate::FieldRules& rules) {
  return rules.message().required() || rules.any().required() || rules.duration().required() ||
         rules.timestamp().required();
}

// What has to be looked at in messages of one type; fields without rules that hold no messages are left out.
struct Plan {
  struct Step {
    const Field* field;
    const validate::FieldRules* rules;  // Never null: empty where there are none.
    bool may_be_unset;                  // Then there is nothing to be looked at.
  };
  std::vector<Step> steps;
  std::vector<const pb::OneofDescriptor*> required;
};

Plan make_plan(const pb::Descriptor& type) {
  Plan plan;
  const pb::MessageOptions& options = type.options();
  if (options.GetExtension(validate::disabled) || options.GetExtension(validate::ignored)) return plan;
  for (int i = 0; i < type.field_count(); ++i) {
    const Field* field = type.field(i);
    const bool has_rules = field->options().HasExtension(validate::rules);
    if (!has_rules && !is_message(*field)) continue;
    const validate::FieldRules& rules = field->options().GetExtension(validate::rules);
    // A member of a oneof that was not chosen is not missing.
    const bool needed = is_required(rules) && field->real_containing_oneof() == nullptr;
    plan.steps.push_back({field, &rules, !field->is_repeated() && field->has_presence() && !needed});
  }
  for (int i = 0; i < type.real_oneof_decl_count(); ++i) {
    const pb::OneofDescriptor* oneof = type.oneof_decl(i);
    if (oneof->options().GetExtension(validate::required)) plan.required.push_back(oneof);
  }
  return plan;
}

// Plans never change once made. Resources are checked on more than one thread (proxy, control plane, tests).
const Plan& plan_of(const pb::Descriptor& type) {
  static std::mutex mutex;
  static std::unordered_map<const pb::Descriptor*, std::unique_ptr<const Plan>> plans;
  const std::lock_guard lock(mutex);
  std::unique_ptr<const Plan>& plan = plans[&type];
  if (plan == nullptr) plan = std::make_unique<const Plan>(make_plan(type));
  return *plan;
}

std::string names_of(const pb::OneofDescriptor& oneof) {
  std::string out;
  for (int i = 0; i < oneof.field_count(); ++i) out += (i == 0 ? "" : ", ") + oneof.field(i)->name();
  return out;
}

class Validator {
 public:
  Validator(std::string_view root, size_t max_errors) : path_(root), max_errors_(max_errors) {}

  void check(const pb::Message& message);
  std::vector<ConfigError> take() { return std::move(errors_); }

 private:
  bool is_full() const { return errors_.size() >= max_errors_; }
  void report(std::string reason) {
    if (!is_full()) errors_.push_back({"", 0, path_.to_string(), std::move(reason)});
  }
  void report_if(Violation violation) {
    if (violation) report(std::move(*violation));
  }

  void check_field(const pb::Message& message, const Plan::Step& step);
  void check_list(const pb::Message& message, const Field& field, const validate::RepeatedRules& rules);
  void check_map(const pb::Message& message, const Field& field, const validate::MapRules& rules);
  void check_unique(const pb::Message& message, const Field& field);
  void check_item(const pb::Message& value, const validate::FieldRules& rules);
  void check_payload(const pb::Any& any);

  FieldPath path_;
  size_t max_errors_;
  size_t depth_ = 0;
  std::vector<ConfigError> errors_;
};

void Validator::check(const pb::Message& message) {
  if (is_full()) return;
  if (depth_ >= kMaxValidateDepth) {
    return report("nested deeper than " + std::to_string(kMaxValidateDepth) + " levels");
  }
  ++depth_;
  const Plan& plan = plan_of(*message.GetDescriptor());
  const pb::Reflection& reflection = *message.GetReflection();
  for (const Plan::Step& step : plan.steps) {
    if (step.may_be_unset && !reflection.HasField(message, step.field)) continue;
    const auto scope = path_.field(step.field->name());
    check_field(message, step);
    if (is_full()) break;
  }
  for (const pb::OneofDescriptor* oneof : plan.required) {
    if (!reflection.HasOneof(message, oneof)) report("one of " + names_of(*oneof) + " must be set");
  }
  --depth_;
}

void Validator::check_field(const pb::Message& message, const Plan::Step& step) {
  const Field& field = *step.field;
  const validate::FieldRules& rules = *step.rules;
  if (field.is_map()) return check_map(message, field, rules.map());
  if (field.is_repeated()) return check_list(message, field, rules.repeated());
  const pb::Reflection& reflection = *message.GetReflection();
  const bool is_set = !field.has_presence() || reflection.HasField(message, &field);
  if (!is_set) return report("must be set");
  if (is_message(field)) return check_item(reflection.GetMessage(message, &field), rules);
  report_if(check_scalar(message, field, -1, rules));
}

void Validator::check_list(const pb::Message& message, const Field& field, const validate::RepeatedRules& rules) {
  const pb::Reflection& reflection = *message.GetReflection();
  const int size = reflection.FieldSize(message, &field);
  if (size == 0 && rules.ignore_empty()) return;
  if (static_cast<uint64_t>(size) < rules.min_items()) {
    report(rules.min_items() == 1 ? "must not be empty"
                                  : "must have at least " + std::to_string(rules.min_items()) + " items");
  }
  if (rules.has_max_items() && static_cast<uint64_t>(size) > rules.max_items()) {
    report("must have at most " + std::to_string(rules.max_items()) + " items");
  }
  if (rules.unique()) check_unique(message, field);
  if (!is_message(field) && !rules.has_items()) return;
  for (int i = 0; i < size && !is_full(); ++i) {
    const auto scope = path_.index(static_cast<size_t>(i));
    if (is_message(field)) {
      check_item(reflection.GetRepeatedMessage(message, &field, i), rules.items());
    } else {
      report_if(check_scalar(message, field, i, rules.items()));
    }
  }
}

void Validator::check_map(const pb::Message& message, const Field& field, const validate::MapRules& rules) {
  const pb::Reflection& reflection = *message.GetReflection();
  const int size = reflection.FieldSize(message, &field);
  if (size == 0 && rules.ignore_empty()) return;
  if (static_cast<uint64_t>(size) < rules.min_pairs()) {
    report("must have at least " + std::to_string(rules.min_pairs()) +
           (rules.min_pairs() == 1 ? " entry" : " entries"));
  }
  if (rules.has_max_pairs() && static_cast<uint64_t>(size) > rules.max_pairs()) {
    report("must have at most " + std::to_string(rules.max_pairs()) + " entries");
  }
  const Field& key = *field.message_type()->map_key();
  const Field& value = *field.message_type()->map_value();
  if (!is_message(value) && !rules.has_keys() && !rules.has_values()) return;
  for (int i = 0; i < size && !is_full(); ++i) {
    const pb::Message& entry = reflection.GetRepeatedMessage(message, &field, i);
    const pb::Reflection& of_entry = *entry.GetReflection();
    // The API's maps have text keys; another kind would only be missing from the path.
    const bool has_text_key = key.cpp_type() == Field::CPPTYPE_STRING;
    const std::string name = has_text_key ? of_entry.GetString(entry, &key) : std::string();
    const auto scope = path_.key(name);
    report_if(check_scalar(entry, key, -1, rules.keys()));
    if (is_message(value)) {
      check_item(of_entry.GetMessage(entry, &value), rules.values());
    } else {
      report_if(check_scalar(entry, value, -1, rules.values()));
    }
  }
}

// Each item alone in a message of the same type: its bytes say whether two are the same, whatever the field's type.
void Validator::check_unique(const pb::Message& message, const Field& field) {
  const pb::Reflection& reflection = *message.GetReflection();
  std::set<std::string> seen;
  for (int i = reflection.FieldSize(message, &field) - 1; i >= 0; --i) {
    std::unique_ptr<pb::Message> alone(message.New());
    switch (field.cpp_type()) {
      case Field::CPPTYPE_STRING:
        reflection.AddString(alone.get(), &field, reflection.GetRepeatedString(message, &field, i));
        break;
      case Field::CPPTYPE_ENUM:
        reflection.AddEnumValue(alone.get(), &field, reflection.GetRepeatedEnumValue(message, &field, i));
        break;
      case Field::CPPTYPE_UINT32:
        reflection.AddUInt32(alone.get(), &field, reflection.GetRepeatedUInt32(message, &field, i));
        break;
      case Field::CPPTYPE_MESSAGE:
        reflection.AddMessage(alone.get(), &field)->CopyFrom(reflection.GetRepeatedMessage(message, &field, i));
        break;
      default: return;  // Not in the API: see the test that walks all rules.
    }
    if (!seen.insert(alone->SerializePartialAsString()).second) return report("must not hold the same item twice");
  }
}

// A message as the value of a field, an item of a list or a value of a map.
void Validator::check_item(const pb::Message& value, const validate::FieldRules& rules) {
  const pb::Descriptor& type = *value.GetDescriptor();
  switch (type.well_known_type()) {
    case Known::WELLKNOWNTYPE_DURATION:
      return report_if(check_duration(static_cast<const pb::Duration&>(value), rules.duration()));
    case Known::WELLKNOWNTYPE_ANY: {
      const pb::Any& any = static_cast<const pb::Any&>(value);
      report_if(check_any(any.type_url(), rules.any()));
      return check_payload(any);
    }
    case Known::WELLKNOWNTYPE_TIMESTAMP:
    case Known::WELLKNOWNTYPE_STRUCT:
    case Known::WELLKNOWNTYPE_VALUE:
    case Known::WELLKNOWNTYPE_LISTVALUE: return;
    case Known::WELLKNOWNTYPE_UNSPECIFIED: break;
    default: return report_if(check_scalar(value, *type.FindFieldByNumber(1), -1, rules));  // The wrappers.
  }
  if (!rules.message().skip()) check(value);
}

// A type that is not known here is for the one who needs it to refuse.
void Validator::check_payload(const pb::Any& any) {
  const std::string type = content_type(any);
  if (find_type(std::string(kTypeUrlPrefix) + type) == nullptr) return;
  auto message = unpack_message(any);
  if (message) {
    if (type == type_name(any.type_url())) return check(**message);
    const auto scope = path_.field("value");  // A TypedStruct.
    return check(**message);
  }
  ConfigError& error = message.error();
  std::string path = path_.to_string();
  if (!error.path.empty()) path += '.' + error.path;
  if (!is_full()) errors_.push_back({"", 0, std::move(path), std::move(error.reason)});
}

}  // namespace

std::vector<ConfigError> validate(const pb::Message& message, std::string_view root_path, size_t max_errors) {
  Validator validator(root_path, max_errors);
  validator.check(message);
  return validator.take();
}

}  // namespace pillion::xds
