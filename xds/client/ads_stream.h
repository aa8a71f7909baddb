// The client's side of one ADS stream as a pure state machine: serialized responses in, serialized requests out, no
// I/O and no clock. It knows the protocol (subscriptions, nonces, ACK, NACK) and nothing of what resources mean.
//
//   want(type, names) ──► pull() gives requests ──► on_message(bytes) gives a Response ──► acknowledge(response,
//   errors)
//
// https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol
#pragma once

#include <google/protobuf/any.pb.h>

#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace pillion::xds::client {

inline constexpr size_t kErrorDetailBytesMax = 4096;  // of a NACK's text: gRPC limits metadata, Envoy does not

// Names that are subscribed to: shared, since there may be ten thousand that do not change.
using NamesPtr = std::shared_ptr<const std::set<std::string>>;

enum class Mode : uint8_t { sotw, delta };

// A resource as it came. `name` and `version` are empty where the protocol does not tell them (state of the world).
struct Received {
  std::string name;
  std::string version;
  google::protobuf::Any body;
};

struct Response {
  std::string type_url;
  std::string version;  // of the response: version_info; system_version_info, which is for people, in delta
  std::string nonce;
  std::vector<Received> resources;
  std::vector<std::string> removed;  // delta: named one by one
  bool full_state = false;           // sotw listeners and clusters: what is not here is gone
};

struct ResourceError {
  std::string name;
  std::string reason;  // "path: what is wrong"
};

class AdsStream {
 public:
  // `node` is a serialized envoy.config.core.v3.Node; it goes out with the first request only.
  static std::unique_ptr<AdsStream> make(Mode mode, std::string node);
  virtual ~AdsStream() = default;

  // What an earlier stream left: delta sends the versions of the resources, sotw the version of the type. To be told
  // before the type is wanted.
  virtual void resume(std::string_view type_url, std::string version,
                      std::map<std::string, std::string> resource_versions) = 0;
  // What is subscribed to from now on: everything (listeners and clusters only), or these names.
  virtual void want_all(std::string_view type_url) = 0;
  virtual void want(std::string_view type_url, NamesPtr names) = 0;
  // The next request to send.
  virtual std::optional<std::string> pull() = 0;
  // An error ends the stream: what came is not the protocol.
  virtual std::expected<Response, std::string> on_message(std::string_view bytes) = 0;
  // The verdict on a response; it must be given once for each, in their order. No errors: ACK.
  virtual void acknowledge(const Response& response, const std::vector<ResourceError>& errors) = 0;
};

// "2 of 3 resources were rejected: a: path: reason; b: …", cut at kErrorDetailBytesMax.
std::string describe(const std::vector<ResourceError>& errors, size_t received);

}  // namespace pillion::xds::client
