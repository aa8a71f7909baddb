// ADS over gRPC: one session per stream, fed from the sets of its node's class. Who a stream is follows from its client
// certificate alone; `node` only chooses among the pods of that identity.
//
//   opened ── no certificate of the mesh ──► UNAUTHENTICATED
//      │ first request: node known ──► classified, resources set ──► requests, responses ──► gone
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "certs/spiffe.h"
#include "proxy/event/executor.h"
#include "proxy/rpc/grpc.h"
#include "xds/control/ads_session.h"
#include "xds/control/node_sets.h"

namespace pillion::xds::control {

inline constexpr std::string_view kSotwPath =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
inline constexpr std::string_view kDeltaPath =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

inline constexpr size_t kStreamsMax = 20'000;
inline constexpr size_t kQueuedBytesMax = 4 << 20;  // beyond, a stream is given nothing more until it has read
inline constexpr Duration kQueuedLookInterval{250'000};
inline constexpr Duration kSlowReaderMax{60'000'000};  // a stream that takes nothing for so long is ended

class AdsService;

// A connected proxy, as /status shows it.
struct ProxyStatus {
  std::string node_id;
  std::string node_cluster;
  std::string user_agent;
  std::string spiffe_id;
  std::string address;
  std::string zone;
  bool delta = false;
  int64_t connected_wall_us = 0;
  uint64_t sent_revision = 0;   // the newest that it was given, or had nothing to be given of
  uint64_t acked_revision = 0;  // the newest that it has accepted as a whole
  uint64_t resources_sent = 0;  // on this stream
  bool settled = false;         // nothing is under way
  std::vector<TypeStatus> types;
};

class AdsStream final : public rpc::GrpcHandler, public event::Steppable {
 public:
  AdsStream(AdsService& service, AdsSession::Mode mode, rpc::GrpcResponder& responder);
  ~AdsStream() override;

  void on_message(std::string_view message) override;
  void on_finished() override;
  void on_cancelled() override { responder_ = nullptr; }

  void update(uint64_t revision);  // the model has changed
  ProxyStatus status() const;

 private:
  void step() override;  // ends a stream that may not begin, which start() itself cannot
  void on_timer();
  void pump();
  void wait(Instant now);
  void note_progress();
  void end(int code, std::string message);

  AdsService& service_;
  AdsSession::Mode mode_;
  rpc::GrpcResponder* responder_;  // null once the call is over
  std::list<AdsStream*>::iterator place_;
  std::unique_ptr<AdsSession> session_;
  std::optional<certs::SpiffeId> identity_;
  std::string address_;
  std::string ip_;
  std::string zone_;
  int64_t connected_wall_us_;
  uint64_t revision_ = 0;
  uint64_t acked_revision_ = 0;
  uint64_t rejections_told_ = 0;
  size_t queued_seen_ = 0;  // when the reader was last seen to take something
  Instant took_at_{};
  event::Timer timer_{event::Timer::bind<&AdsStream::on_timer>(this)};
};

class AdsService final : public rpc::GrpcService {
 public:
  AdsService(event::Executor& executor, TranslateOptions options)
      : executor_(executor), trust_domain_(options.trust_domain), sets_(std::move(options)) {}

  std::unique_ptr<rpc::GrpcHandler> start(std::string_view path, const rpc::Metadata& metadata,
                                          rpc::GrpcResponder& responder) override;

  // Everything from now on is made of `model`; connected proxies are sent the difference.
  void push(std::shared_ptr<const Model> model, uint64_t revision);
  std::vector<ProxyStatus> proxies() const;

 private:
  friend class AdsStream;

  event::Executor& executor_;
  std::string trust_domain_;
  NodeSets sets_;
  uint64_t revision_ = 0;
  std::list<AdsStream*> streams_;
};

}  // namespace pillion::xds::control
