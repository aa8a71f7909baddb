#include "xds/api/type_url.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

namespace pillion::xds {

namespace pb = google::protobuf;

std::string_view type_name(std::string_view type_url) {
  const size_t slash = type_url.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : type_url.substr(slash + 1);
}

const pb::Descriptor* find_type(std::string_view type_url) {
  const std::string_view name = type_name(type_url);
  return name.empty() ? nullptr : pb::DescriptorPool::generated_pool()->FindMessageTypeByName(std::string(name));
}

std::unique_ptr<pb::Message> new_message(const pb::Descriptor& type) {
  return std::unique_ptr<pb::Message>(pb::MessageFactory::generated_factory()->GetPrototype(&type)->New());
}

std::string unknown_type(std::string_view shown, std::string_view type_url) {
  std::string reason = std::string(shown) + " is not a type that is known here";
  if (type_url.find('/') == std::string_view::npos && find_type(std::string(kTypeUrlPrefix).append(type_url))) {
    reason += "; did you mean \"" + std::string(kTypeUrlPrefix).append(type_url) + "\"?";
  }
  return reason;
}

void pack_deterministic(const pb::Message& message, std::string_view type_url, pb::Any& out) {
  out.set_type_url(std::string(type_url));
  std::string* bytes = out.mutable_value();
  bytes->clear();
  pb::io::StringOutputStream stream(bytes);
  pb::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializePartialToCodedStream(&coded);
}

pb::Any pack(const pb::Message& message) {
  pb::Any out;
  pack_deterministic(message, std::string(kTypeUrlPrefix) + message.GetDescriptor()->full_name(), out);
  return out;
}

}  // namespace pillion::xds
