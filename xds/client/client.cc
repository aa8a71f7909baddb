#include "xds/client/client.h"

#include <algorithm>

#include "proxy/base/log.h"
#include "proxy/base/memory.h"
#include "xds/api/any.h"

namespace pillion::xds::client {
namespace {

constexpr std::string_view kSotwMethod =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
constexpr std::string_view kDeltaMethod =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
// A response of this size leaves much free memory behind; it is returned once
// the responses that come together are done with.
constexpr size_t kLargeResponseBytes = 256 * 1024;
constexpr Duration kTidyAfter{100'000};
constexpr Duration kTidyInterval{30'000'000};
constexpr std::string_view kTypes[] = {kClusterType, kEndpointType, kListenerType, kRouteType, kSecretType};

}  // namespace

AdsClient::AdsClient(event::Executor& executor, rpc::Channel& channel, ResourceStore& store, AdsClientOptions options,
                     AdsClientEvents& events)
    : executor_(executor),
      channel_(channel),
      store_(store),
      options_(std::move(options)),
      events_(events),
      retry_timer_(event::Timer::bind<&AdsClient::on_retry>(this)),
      deadline_timer_(event::Timer::bind<&AdsClient::on_deadline>(this)),
      tidy_timer_(event::Timer::bind<&AdsClient::on_tidy>(this)) {}

void AdsClient::start() {
  open_stream();
}

// === requests ===

void AdsClient::open_stream() {
  call_.reset();
  stream_ = AdsStream::make(options_.mode, options_.node);
  ++stats_.streams;
  stats_.connected = false;
  call_ = channel_.call(options_.mode == Mode::delta ? kDeltaMethod : kSotwMethod, {}, *this);
  for (const std::string_view type : kTypes) {
    stream_->resume(type, store_.type_version(type), store_.resource_versions(type));
  }
  if (options_.subscribe_clusters) stream_->want_all(kClusterType);
  if (options_.subscribe_listeners) stream_->want_all(kListenerType);
  refresh();
}

// What the accepted resources refer to. Listeners and clusters come first: their names decide about the others.
void AdsClient::subscribe() {
  for (const std::string_view type : {kEndpointType, kRouteType, kSecretType}) {
    NamesPtr names = store_.wanted(type, executor_.now());
    if (stream_ != nullptr) stream_->want(type, std::move(names));
  }
  asks_for_files_ = true;
  events_.on_files_wanted(store_.wanted_files());
  asks_for_files_ = false;
}

void AdsClient::flush() {
  while (std::optional<std::string> request = stream_->pull()) call_->send(*request);
}

// === responses ===

void AdsClient::on_message(std::string_view message) {
  if (stream_ == nullptr) return;
  std::expected<Response, std::string> response = stream_->on_message(message);
  if (!response) {
    end_stream(response.error());
    return;
  }
  ++stats_.responses;
  stats_.connected = true;
  failures_ = 0;
  const std::vector<ResourceError> errors = store_.apply(*response, executor_.now(), wall_now_us());
  for (const ResourceError& e : errors) {
    PILLION_LOG_LIMITED(warning, executor_.now(), "xds: {} {} is refused: {}", type_name(response->type_url), e.name,
                        e.reason);
  }
  if (!errors.empty()) {
    ++stats_.rejected;
    stats_.last_error = describe(errors, response->resources.size());
  }
  stream_->acknowledge(*response, errors);
  refresh();
  if (message.size() >= kLargeResponseBytes) {
    tidy_timer_.start(executor_.timers, std::max(executor_.now() + kTidyAfter, next_tidy_));
  }
}

// Workers may wait for the allocator meanwhile, so a server that sends everything anew each second must not cause this
// each second.
void AdsClient::on_tidy() {
  next_tidy_ = executor_.now() + kTidyInterval;
  return_free_memory();
}

// What the store holds is asked for, and a snapshot made of it.
config::SnapshotPtr AdsClient::settle() {
  subscribe();
  if (stream_ != nullptr && call_ != nullptr) flush();
  return store_.build(executor_.now());
}

void AdsClient::refresh() {
  if (asks_for_files_) return;
  config::SnapshotPtr snapshot = settle();
  if (store_.has_let_go()) snapshot = settle();
  if (const std::optional<Instant> deadline = store_.next_deadline()) {
    deadline_timer_.start(executor_.timers, *deadline);
  } else {
    deadline_timer_.stop();
  }
  if (snapshot == published_) return;
  published_ = snapshot;
  ++stats_.updates;
  events_.on_snapshot(snapshot);
}

// === failure ===

void AdsClient::on_status(const rpc::GrpcStatus& status) {
  end_stream(status.ok() ? "the control plane ended the stream"
                         : "grpc status " + std::to_string(status.code) + ": " + status.message);
}

// A stream that had brought something is opened again at once; one that had not, after a growing, jittered wait. The
// call is dropped by the timer and not here, where it may be the caller.
void AdsClient::end_stream(const std::string& why) {
  if (stream_ == nullptr) return;
  const bool brought_something = stats_.connected;
  stats_.last_error = why;
  stats_.connected = false;
  stream_.reset();
  Duration wait{0};
  if (!brought_something) {
    const Duration ceiling = std::min(kBackoffBase * (int64_t{1} << std::min(failures_, 6u)), kBackoffMax);
    wait = ceiling / 2 + Duration(executor_.random.below(static_cast<uint64_t>(ceiling.count() / 2)));
    ++failures_;
  }
  PILLION_LOG_LIMITED(warning, executor_.now(), "xds: the stream has ended: {}; next try in {} ms", why, to_ms(wait));
  retry_timer_.start_after(executor_.timers, wait);
}

}  // namespace pillion::xds::client
