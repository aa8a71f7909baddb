// Secrets out of a message before a person sees it: every field that the API marks as sensitive.
#pragma once

namespace google::protobuf {
class Message;
}

namespace pillion::xds::client {

// Replaces text and bytes under fields with (udpa.annotations.sensitive) by "[redacted]", as Envoy's /config_dump does,
// also inside of Any. An Any whose type is not known is emptied: what cannot be read cannot be shown.
void redact(google::protobuf::Message& message);

}  // namespace pillion::xds::client
