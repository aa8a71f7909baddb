// The server's side of one ADS stream as a pure state machine: requests in, responses out, no I/O and no clock.
//
//   owner:  on_message(bytes) -> node() known -> set_resources(set of the node's class) -> pull(now) until it is empty,
//           again after every on_message, every set_resources, and at wake_at()
//
// Order of a push (make before break). LDS and RDS wait until the clusters and endpoints sent before them are
// acknowledged, because Envoy acknowledges a cluster once it is warm; removals wait until the routes that may still
// name what is removed have been acknowledged. A client that never answers is waited for kOrderHold and no longer.
//
//   CDS new, changed -> EDS new, changed -> [acknowledged] -> LDS -> RDS -> others -> [acknowledged] -> CDS removed
//   -> EDS removed
//
// What is never done: sending a version that the client has, or has refused, a second time unasked. So a reconnecting
// client that says what it has is sent only the difference, and a NACK causes no loop.
#pragma once

#include <envoy/config/core/v3/base.pb.h>

#include <cstdint>
#include <deque>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/time.h"
#include "xds/control/resources.h"

namespace envoy::service::discovery::v3 {
class DeltaDiscoveryRequest;
class DiscoveryRequest;
}  // namespace envoy::service::discovery::v3

namespace pillion::xds::control {

inline constexpr size_t kMaxRequestBytes = 16 << 20;
inline constexpr size_t kMaxTypesPerStream = 32;
inline constexpr size_t kMaxNamesPerType = 100'000;  // subscriptions, and initial_resource_versions
inline constexpr size_t kMaxNameBytes = 4096;
inline constexpr size_t kMaxInFlight = 4;                // unacknowledged responses per type; the next change waits
inline constexpr size_t kResponseTargetBytes = 1 << 20;  // a response is closed once it is larger
inline constexpr size_t kMaxRejectionText = 4096;
inline constexpr Duration kOrderHold{2'000'000};

// The stream is ended with this gRPC status.
struct SessionError {
  int grpc_status = 0;
  std::string message;
};

struct Rejection {
  std::string name;     // of the resource; "" where the client names none of those it was sent
  std::string version;  // that was refused
  std::string text;     // error_detail.message, cut at kMaxRejectionText
};

struct TypeStatus {
  std::string type_url;
  bool wildcard = false;
  size_t names = 0;      // subscribed by name
  size_t resources = 0;  // that the client has
  std::string sent_version;
  std::string acked_version;
  size_t in_flight = 0;
  std::vector<Rejection> rejections;
};

class AdsSession {
 public:
  enum class Mode : uint8_t { sotw, delta };
  struct Options {
    // Envoy holds a changed cluster back until it is sent its endpoints again, changed or not (envoy#31535). A client
    // that keeps them, as Pillion does, needs no such thing.
    bool resend_endpoints = true;
  };
  static std::unique_ptr<AdsSession> make(Mode mode, Options options);
  static std::unique_ptr<AdsSession> make(Mode mode) { return make(mode, Options()); }
  virtual ~AdsSession() = default;

  // One serialized request. An error ends the stream.
  virtual std::expected<void, SessionError> on_message(std::string_view bytes) = 0;
  // What the node is to have. Nothing is sent before the first call.
  void set_resources(std::shared_ptr<const ResourceSet> resources);
  // The next serialized response, if one may be sent now.
  std::optional<std::string> pull(Instant now);
  // When pull() may have more to give without anything else happening.
  std::optional<Instant> wake_at() const { return wake_at_; }

  bool has_node() const { return node_.has_value(); }
  const envoy::config::core::v3::Node& node() const;         // empty until the first request has come
  void set_options(Options options) { options_ = options; }  // once the node is known
  bool settled() const;                                      // everything is sent, and acknowledged or refused
  bool has_rejections() const;
  uint64_t resources_sent() const { return resources_sent_; }      // on this stream
  uint64_t rejections_noted() const { return rejections_noted_; }  // grows with each NACK
  std::vector<TypeStatus> status() const;
  const std::shared_ptr<const ResourceSet>& resources() const { return resources_; }

 protected:
  struct Known {
    std::string version;
    ResourcePtr resource;  // null where only the client's word is known
  };
  struct Sent {
    std::string nonce;
    std::string version;
    std::vector<std::pair<std::string, std::string>> resources;  // name, version
    Instant at;
  };
  // One type on this stream.
  struct Subscription {
    std::string type_url;
    bool seen = false;  // a request has come
    bool wildcard = false;
    bool named = false;        // a name was ever sent: an empty list no longer means everything (SotW)
    bool must_answer = false;  // an answer is owed even if it is empty
    bool dirty = false;        // collect() may find something
    std::set<std::string> names;
    std::set<std::string> forced;         // owed whatever the client has
    std::map<std::string, Known> client;  // what the client was sent or says it has
    std::deque<Sent> in_flight;
    std::string last_nonce;
    std::string sent_version;
    std::string acked_version;
    std::map<std::string, Rejection> rejected;
    bool subscribed(const std::string& name) const { return wildcard || names.contains(name); }
  };
  struct Batch {
    std::vector<ResourcePtr> resources;
    std::vector<std::string> changed;  // among them, those whose content the client does not have
    std::vector<std::string> removed;
    bool last = true;  // nothing is left for a second response
    bool send = false;
  };

  explicit AdsSession(Options options) : options_(options) {}
  // What is due for the type. `removals`: those that had to wait may go now.
  virtual Batch collect(Subscription& s, bool removals) = 0;
  // Makes the response and notes what the client has from now on.
  virtual std::string encode(Subscription& s, const Batch& batch, const std::string& nonce) = 0;

  std::expected<Subscription*, SessionError> subscription(const std::string& type_url);
  static std::expected<void, SessionError> check_name(const Subscription& s, const std::string& name);
  void note_node(bool present, const envoy::config::core::v3::Node& node);
  void acknowledge(Subscription& s, const std::string& nonce);
  void reject(Subscription& s, const std::string& nonce, const std::string& text);

  std::shared_ptr<const ResourceSet> resources_;

 private:
  bool may_send(const Subscription& s, Instant now, std::optional<Instant>& until) const;
  bool routes_settled() const;
  bool may_remove(Instant now);
  std::optional<std::string> try_type(std::string_view type_url, bool removals, Instant now);
  void owe_endpoints(const Batch& batch);

  Options options_;
  std::optional<envoy::config::core::v3::Node> node_;
  std::map<std::string, Subscription, std::less<>> types_;
  std::optional<Instant> wake_at_;
  uint64_t next_nonce_ = 1;
  uint64_t rejections_noted_ = 0;
  uint64_t resources_sent_ = 0;
};

// Full-state types: a response holds everything, and what it does not hold is deleted (SotW).
bool is_full_state(std::string_view type_url);

}  // namespace pillion::xds::control
