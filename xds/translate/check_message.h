// What is asked of every message before anything is made of it.
#pragma once

namespace google::protobuf {
class Message;
}

namespace pillion::xds {

class Context;

// Whether the message keeps its own constraints, and then whether each field that is set has a meaning here. Errors go
// to the context; true when there are none.
bool check_message(Context& cx, const google::protobuf::Message& message);

}  // namespace pillion::xds
