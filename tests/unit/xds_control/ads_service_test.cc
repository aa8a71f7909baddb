// Streams of the ADS service with a client that is written here: who may begin, what a slow reader costs.
#include "xds/control/ads_service.h"

#include <envoy/service/discovery/v3/discovery.pb.h>

#include "tests/unit/xds_control/support.h"

using namespace pillion;
using namespace pillion::xds;
using namespace pillion::xds::control;
using namespace pillion::xds::control::testing;

namespace {

class FakeResponder final : public rpc::GrpcResponder {
 public:
  explicit FakeResponder(const std::string& spiffe_id) {
    peer_.address = *Address::parse("10.77.1.10:4000");
    tls_.peer_uri_san = spiffe_id;
    peer_.tls = &tls_;
  }
  void send(std::string_view message) override { sent.emplace_back(message); }
  void finish(const rpc::GrpcStatus& status) override { finished = status; }
  size_t queued_bytes() const override { return queued; }
  const rpc::Peer& peer() const override { return peer_; }

  std::vector<std::string> sent;
  std::optional<rpc::GrpcStatus> finished;
  size_t queued = 0;

 private:
  net::TlsInfo tls_;
  rpc::Peer peer_;
};

struct World {
  StatSlab stats;
  event::Executor executor{Instant(Duration(1'000'000)), 1, stats};
  AdsService service{executor, {}};

  World() {
    DirectorySource source;
    service.push(source.apply(shop_files()).model, 1);
  }
  void advance(Duration by) {
    executor.timers.advance_to(executor.now() + by);
    executor.end_turn();
  }
};

std::string request(std::string_view type) {
  envoy::service::discovery::v3::DeltaDiscoveryRequest out;
  out.mutable_node()->set_id("n");
  out.set_type_url(std::string(type));
  return out.SerializeAsString();
}

const char* kClient = "spiffe://cluster.local/ns/shop/sa/client";

}  // namespace

TEST_CASE("ads_service: only an identity of the mesh may begin a stream") {
  for (const char* id : {"", "spiffe://other/ns/shop/sa/client", "spiffe://cluster.local/client", "http://x"}) {
    CAPTURE(id);
    World w;
    FakeResponder responder(id);
    const auto stream = w.service.start(kDeltaPath, {}, responder);
    CHECK_FALSE(responder.finished);  // start() itself ends nothing
    stream->on_message(request(kClusterType));
    w.executor.end_turn();
    REQUIRE(responder.finished);
    CHECK(responder.finished->code == 16);
    CHECK(responder.sent.empty());
  }
}

TEST_CASE("ads_service: another method is nobody's") {
  World w;
  FakeResponder responder(kClient);
  CHECK(w.service.start("/envoy.service.discovery.v3.ClusterDiscoveryService/FetchClusters", {}, responder) == nullptr);
  CHECK(w.service.proxies().empty());
}

TEST_CASE("ads_service: the status shows a stream while it lives") {
  World w;
  FakeResponder responder(kClient);
  auto stream = w.service.start(kDeltaPath, {}, responder);
  stream->on_message(request(kClusterType));
  REQUIRE(responder.sent.size() == 1);
  const auto proxies = w.service.proxies();
  REQUIRE(proxies.size() == 1);
  CHECK(proxies[0].spiffe_id == kClient);
  CHECK(proxies[0].zone == "zone-a");
  CHECK(proxies[0].sent_revision == 1);
  CHECK(proxies[0].acked_revision == 0);
  CHECK(proxies[0].resources_sent > 0);
  stream->on_cancelled();
  stream.reset();
  CHECK(w.service.proxies().empty());
}

TEST_CASE("ads_service: a client that does not read is given no more, and is ended when it takes nothing for long") {
  World w;
  FakeResponder responder(kClient);
  const auto stream = w.service.start(kDeltaPath, {}, responder);
  responder.queued = kQueuedBytesMax + 10;
  stream->on_message(request(kClusterType));
  CHECK(responder.sent.empty());
  // It takes a little now and then: it may go on.
  for (int i = 0; i < 4; ++i) {
    --responder.queued;
    w.advance(kSlowReaderMax / 2);
  }
  CHECK_FALSE(responder.finished);
  responder.queued = 0;
  w.advance(kQueuedLookInterval);
  CHECK(responder.sent.size() == 1);
  // From here on nothing is taken.
  responder.queued = kQueuedBytesMax + 100;
  stream->on_message(request(kListenerType));
  for (int i = 0; i < 300 && !responder.finished; ++i) w.advance(kQueuedLookInterval);
  REQUIRE(responder.finished);
  CHECK(responder.finished->code == 8);
}
