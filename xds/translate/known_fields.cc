#include "xds/translate/known_fields.h"

#include <google/protobuf/descriptor.h>

#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "proxy/base/check.h"
#include "xds/api/validate.h"
#include "xds/translate/context.h"

namespace pillion::xds {

namespace {

namespace pb = google::protobuf;

enum class Use : uint8_t { unknown, ignored, read };
using TypeUses = std::unordered_map<int, Use>;  // by field number
using Uses = std::unordered_map<const pb::Descriptor*, TypeUses>;

void enter(std::string_view type, std::string_view fields, Use use, Uses& out) {
  const pb::Descriptor* descriptor = find_type(std::string(kTypeUrlPrefix).append(type));
  PILLION_CHECK(descriptor != nullptr);
  TypeUses& uses = out[descriptor];
  while (!fields.empty()) {
    const size_t space = fields.find(' ');
    const pb::FieldDescriptor* field = descriptor->FindFieldByName(std::string(fields.substr(0, space)));
    PILLION_CHECK(field != nullptr);
    uses[field->number()] = use;
    fields = space == std::string_view::npos ? std::string_view() : fields.substr(space + 1);
  }
}

const Uses& own_uses() {
  static const Uses uses = [] {
    Uses out;
    for (const KnownFields& known : read_fields()) enter(known.type, known.fields, Use::read, out);
    for (const IgnoredFields& ignored : ignored_fields()) enter(ignored.type, ignored.fields, Use::ignored, out);
    return out;
  }();
  return uses;
}

class Walker {
 public:
  explicit Walker(Context& cx) : cx_(cx) {}

  void walk(const pb::Message& message);

 private:
  const TypeUses* uses_of(const pb::Descriptor& type) {
    if (const auto it = own_uses().find(&type); it != own_uses().end()) return &it->second;
    if (!of_filters_) enter_filters();
    const auto it = of_filters_->find(&type);
    return it == of_filters_->end() ? nullptr : &it->second;
  }
  void enter_filters();
  void walk_field(const pb::Message& message, const pb::FieldDescriptor& field);
  void walk_value(const pb::Message& value);

  Context& cx_;
  std::optional<Uses> of_filters_;  // made when something is met that is not ours: clusters have nothing of theirs
  size_t depth_ = 0;
};

void Walker::enter_filters() {
  of_filters_.emplace();
  const FilterTable* filters = cx_.options().filters;
  if (filters == nullptr) return;
  for (const auto* list : {&filters->http, &filters->network}) {
    for (const FilterType& type : *list) {
      for (const KnownFields& known : type.known) enter(known.type, known.fields, Use::read, *of_filters_);
    }
  }
}

void Walker::walk(const pb::Message& message) {
  const TypeUses* uses = uses_of(*message.GetDescriptor());
  if (uses == nullptr || depth_ >= kMaxValidateDepth) return;
  ++depth_;
  std::vector<const pb::FieldDescriptor*> set;
  message.GetReflection()->ListFields(message, &set);
  for (const pb::FieldDescriptor* field : set) {
    const auto it = uses->find(field->number());
    const Use use = it == uses->end() ? Use::unknown : it->second;
    if (use == Use::unknown) cx_.unsupported(field->name());
    if (use == Use::read && field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) walk_field(message, *field);
  }
  --depth_;
}

void Walker::walk_field(const pb::Message& message, const pb::FieldDescriptor& field) {
  const auto at = cx_.field(field.name());
  const pb::Reflection& reflection = *message.GetReflection();
  if (!field.is_repeated()) return walk_value(reflection.GetMessage(message, &field));
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    const pb::Message& item = reflection.GetRepeatedMessage(message, &field, i);
    if (!field.is_map()) {
      const auto in = cx_.index(static_cast<size_t>(i));
      walk_value(item);
      continue;
    }
    const pb::FieldDescriptor& value = *field.message_type()->map_value();
    if (value.cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const std::string key = item.GetReflection()->GetString(item, field.message_type()->map_key());
    const auto in = cx_.key(key);
    walk_value(item.GetReflection()->GetMessage(item, &value));
  }
}

void Walker::walk_value(const pb::Message& value) {
  if (value.GetDescriptor()->well_known_type() != pb::Descriptor::WELLKNOWNTYPE_ANY) return walk(value);
  const auto& any = static_cast<const pb::Any&>(value);
  const std::string type = content_type(any);
  const pb::Descriptor* descriptor = find_type(std::string(kTypeUrlPrefix) + type);
  if (descriptor == nullptr || uses_of(*descriptor) == nullptr) return;
  auto message = unpack_message(any, cx_.path());
  if (!message) return cx_.add(std::move(message.error()));
  if (type == type_name(any.type_url())) return walk(**message);
  const auto in = cx_.field("value");  // a TypedStruct
  walk(**message);
}

}  // namespace

void refuse_unknown_fields(Context& cx, const pb::Message& message) {
  Walker(cx).walk(message);
}

}  // namespace pillion::xds
