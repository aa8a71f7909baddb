// Keeps one ADS stream to the control plane open and turns what comes into snapshots. When the stream is lost, what was
// received stays in force; the next stream says what is held, so that nothing is sent twice.
//
//   idle ──start()──► streaming ──lost──► waiting(back-off) ──► streaming …
#pragma once

#include <memory>
#include <string>

#include "proxy/event/executor.h"
#include "proxy/rpc/grpc.h"
#include "xds/client/ads_stream.h"
#include "xds/client/resource_store.h"

namespace pillion::xds::client {

class AdsClientEvents {
 public:
  virtual void on_snapshot(const config::SnapshotPtr& snapshot) = 0;  // differs from the one before
  // The files with secrets that the store's resources name, before the snapshot is made that needs them: those that are
  // there are to be given to the store now.
  virtual void on_files_wanted(const FileWishes& wishes) = 0;

 protected:
  ~AdsClientEvents() = default;
};

struct AdsClientOptions {
  Mode mode = Mode::delta;
  std::string node;                 // serialized envoy.config.core.v3.Node
  bool subscribe_listeners = true;  // lds_config and cds_config of the bootstrap
  bool subscribe_clusters = true;
};

struct AdsClientStats {
  uint64_t streams = 0;  // opened
  uint64_t responses = 0;
  uint64_t rejected = 0;   // responses that were answered by a NACK
  uint64_t updates = 0;    // snapshots given out
  bool connected = false;  // a response has come on the stream that is open
  std::string last_error;  // why the last stream ended, or what was rejected last
};

class AdsClient final : public rpc::GrpcCallEvents {
 public:
  static constexpr Duration kBackoffBase{500'000};
  static constexpr Duration kBackoffMax{10'000'000};

  // All of these outlive the client. The store is the client's to change, others read it.
  AdsClient(event::Executor& executor, rpc::Channel& channel, ResourceStore& store, AdsClientOptions options,
            AdsClientEvents& events);

  void start();
  // The store got something from elsewhere (a secret): looks whether a new snapshot comes of it. From inside of
  // on_files_wanted() it does nothing: who calls that looks by itself.
  void refresh();
  const AdsClientStats& stats() const { return stats_; }

 private:
  void open_stream();
  void on_message(std::string_view message) override;
  void on_status(const rpc::GrpcStatus& status) override;
  void on_retry() { open_stream(); }
  void on_deadline() { refresh(); }
  void on_tidy();
  void subscribe();
  config::SnapshotPtr settle();
  void flush();
  void end_stream(const std::string& why);

  event::Executor& executor_;
  rpc::Channel& channel_;
  ResourceStore& store_;
  AdsClientOptions options_;
  AdsClientEvents& events_;
  std::unique_ptr<AdsStream> stream_;
  std::unique_ptr<rpc::GrpcCall> call_;
  event::Timer retry_timer_;
  event::Timer deadline_timer_;  // of the store's waiting
  event::Timer tidy_timer_;
  Instant next_tidy_{};  // not before
  config::SnapshotPtr published_;
  bool asks_for_files_ = false;
  AdsClientStats stats_;
  uint32_t failures_ = 0;  // in a row, without any response
};

}  // namespace pillion::xds::client
