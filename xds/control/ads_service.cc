#include "xds/control/ads_service.h"

#include <envoy/config/core/v3/base.pb.h>

#include <algorithm>

#include "proxy/base/log.h"

namespace pillion::xds::control {

namespace {

constexpr int kResourceExhausted = 8;  // google.rpc.Code
constexpr int kUnauthenticated = 16;

// A Pillion keeps the endpoints of a cluster that changes; others must be sent them again.
bool keeps_endpoints(const envoy::config::core::v3::Node& node) {
  return node.user_agent_name() == "pillion";
}

}  // namespace

// === a stream ===

AdsStream::AdsStream(AdsService& service, AdsSession::Mode mode, rpc::GrpcResponder& responder)
    : service_(service),
      mode_(mode),
      responder_(&responder),
      place_(service.streams_.insert(service.streams_.end(), this)),
      session_(AdsSession::make(mode)),
      address_(responder.peer().address.to_string()),
      ip_(responder.peer().address.ip()),
      connected_wall_us_(wall_now_us()) {
  const net::TlsInfo* tls = responder.peer().tls;
  if (tls != nullptr && !tls->peer_uri_san.empty()) {
    auto id = certs::SpiffeId::parse(tls->peer_uri_san);
    if (id && id->trust_domain() == service.trust_domain_ && id->service_account()) identity_ = std::move(*id);
  }
  if (!identity_ || service.streams_.size() > kStreamsMax) service_.executor_.ready(*this);
}

AdsStream::~AdsStream() {
  service_.streams_.erase(place_);
}

void AdsStream::step() {
  if (!identity_) {
    return end(kUnauthenticated, "a client certificate of trust domain " + service_.trust_domain_ +
                                     " with a name of the form /ns/NAMESPACE/sa/ACCOUNT is needed");
  }
  end(kResourceExhausted, "too many streams are open; try again later");
}

void AdsStream::end(int code, std::string message) {
  if (responder_ == nullptr) return;
  timer_.stop();
  PILLION_LOG_LIMITED(warning, service_.executor_.now(), "ADS {} {}: stream ended: {}", address_,
                      identity_ ? identity_->to_string() : "", message);
  std::exchange(responder_, nullptr)->finish({.code = code, .message = std::move(message)});
}

void AdsStream::on_finished() {
  timer_.stop();
  if (responder_ != nullptr) std::exchange(responder_, nullptr)->finish({});
}

// === requests ===

void AdsStream::on_message(std::string_view message) {
  if (responder_ == nullptr || !identity_) return;
  if (message.size() > kMaxRequestBytes) return end(kResourceExhausted, "a request is larger than 16 MiB");
  const bool first = !session_->has_node();
  if (auto taken = session_->on_message(message); !taken) {
    return end(taken.error().grpc_status, std::move(taken.error().message));
  }
  if (first && session_->has_node()) {
    session_->set_options({.resend_endpoints = !keeps_endpoints(session_->node())});
    PILLION_LOG(info, "ADS {} {}: connected, node {}, {}", address_, identity_->to_string(), session_->node().id(),
                mode_ == AdsSession::Mode::delta ? "delta" : "state of the world");
    update(service_.revision_);
    return;
  }
  pump();
}

void AdsStream::update(uint64_t revision) {
  if (responder_ == nullptr || !identity_ || !session_->has_node() || service_.sets_.model() == nullptr) return;
  const auto account = *identity_->service_account();
  const NodeClass node = classify(*service_.sets_.model(), {std::string(account.name_space), std::string(account.name)},
                                  ip_, session_->node());
  zone_ = node.zone;
  revision_ = revision;
  session_->set_resources(service_.sets_.of(node));
  pump();
}

// === responses ===

void AdsStream::pump() {
  const Instant now = service_.executor_.now();
  while (responder_ != nullptr && responder_->queued_bytes() <= kQueuedBytesMax) {
    auto response = session_->pull(now);
    if (!response) break;
    responder_->send(*response);
  }
  note_progress();
  wait(now);
}

// What the session waits for, or a reader that has to take what it was sent first.
void AdsStream::wait(Instant now) {
  timer_.stop();
  if (responder_ == nullptr) return;
  const size_t queued = responder_->queued_bytes();
  if (queued <= kQueuedBytesMax) {
    queued_seen_ = 0;
    if (const auto wake = session_->wake_at()) timer_.start(service_.executor_.timers, std::max(*wake, now));
    return;
  }
  if (queued_seen_ == 0 || queued < queued_seen_) {
    queued_seen_ = queued;
    took_at_ = now;
  } else if (now - took_at_ > kSlowReaderMax) {
    return end(kResourceExhausted, "the client reads too slowly");
  }
  timer_.start_after(service_.executor_.timers, kQueuedLookInterval);
}

void AdsStream::on_timer() {
  pump();
}

void AdsStream::note_progress() {
  if (session_->rejections_noted() != rejections_told_) {
    rejections_told_ = session_->rejections_noted();
    for (const TypeStatus& type : session_->status()) {
      for (const Rejection& r : type.rejections) {
        PILLION_LOG_LIMITED(warning, service_.executor_.now(), "ADS {} {}: {} {} refused: {}", address_,
                            identity_->to_string(), type.type_url, r.name, r.text);
      }
    }
  }
  if (acked_revision_ != revision_ && session_->settled() && !session_->has_rejections()) acked_revision_ = revision_;
}

ProxyStatus AdsStream::status() const {
  const auto& node = session_->node();
  return {.node_id = node.id(),
          .node_cluster = node.cluster(),
          .user_agent = node.user_agent_name(),
          .spiffe_id = identity_ ? identity_->to_string() : std::string(),
          .address = address_,
          .zone = zone_,
          .delta = mode_ == AdsSession::Mode::delta,
          .connected_wall_us = connected_wall_us_,
          .sent_revision = revision_,
          .acked_revision = acked_revision_,
          .resources_sent = session_->resources_sent(),
          .settled = session_->settled(),
          .types = session_->status()};
}

// === the service ===

std::unique_ptr<rpc::GrpcHandler> AdsService::start(std::string_view path, const rpc::Metadata&,
                                                    rpc::GrpcResponder& responder) {
  if (path == kSotwPath) return std::make_unique<AdsStream>(*this, AdsSession::Mode::sotw, responder);
  if (path == kDeltaPath) return std::make_unique<AdsStream>(*this, AdsSession::Mode::delta, responder);
  return nullptr;
}

void AdsService::push(std::shared_ptr<const Model> model, uint64_t revision) {
  sets_.set_model(std::move(model));
  revision_ = revision;
  // No stream goes while this runs: a handler is destroyed by its server, from the loop.
  for (AdsStream* stream : streams_) stream->update(revision);
}

std::vector<ProxyStatus> AdsService::proxies() const {
  std::vector<ProxyStatus> out;
  for (const AdsStream* stream : streams_) out.push_back(stream->status());
  return out;
}

}  // namespace pillion::xds::control
