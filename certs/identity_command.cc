#include <csignal>
#include <random>

#include "certs/command.h"
#include "certs/files.h"
#include "certs/identity_client.h"
#include "proxy/base/log.h"
#include "proxy/event/loop.h"
#include "proxy/event/signal.h"
#include "proxy/net/cares_resolver.h"
#include "proxy/net/tcp_dialer.h"

namespace pillion::certs {
namespace {

constexpr Duration kFirstTimeout{30'000'000};  // of --once

int64_t now_seconds() {
  return wall_now_us() / 1'000'000;
}

Result<std::string> token_text(const std::string& given) {
  if (!given.starts_with('@')) return given;
  auto text = read_file(given.substr(1), kMaxTokenBytes + 2);
  if (!text) return failure_of(text);
  if (!text->has_value()) return failure("there is no such file", given.substr(1));
  std::string out = std::move(**text);
  while (!out.empty() && (out.back() == '\n' || out.back() == '\r' || out.back() == ' ')) out.pop_back();
  return out;
}

class Keeper final : public StoreEvents, public IdentityEvents {
 public:
  Keeper(event::Loop& loop, const IdentityCommandOptions& options) : loop_(loop), options_(options) {}

  Result<void> start();
  const std::string& failure_text() const { return failure_; }  // empty: it ended as it should

 private:
  Result<void> take_up_files();
  void on_material(const SharedMaterial& material) override;
  void on_identity_failed(std::string_view reason, bool final) override;
  void on_first_timeout() { stop(last_reason_.empty() ? "no certificate in time" : last_reason_); }
  void stop(std::string reason);

  event::Loop& loop_;
  const IdentityCommandOptions& options_;
  Store store_{loop_.executor().random};
  net::TcpDialer dialer_{loop_};
  std::unique_ptr<net::Resolver> resolver_ = net::make_cares_resolver(loop_);
  std::optional<Store::Subscription> subscription_;
  std::unique_ptr<IdentityClient> client_;
  event::Timer first_timer_{event::Timer::bind<&Keeper::on_first_timeout>(this)};
  std::string last_reason_;
  std::string failure_;
};

// An identity of an earlier run, if it is still good, is renewed and needs no token.
Result<void> Keeper::take_up_files() {
  auto files = read_identity(options_.out_dir);
  if (!files) return failure_of(files);
  if (!files->has_value()) return {};
  auto installed = store_.install((*files)->cert_chain, (*files)->private_key, (*files)->trust_bundle, now_seconds());
  if (!installed) {
    PILLION_LOG(warning, "identity: {}: what is there is not used: {}", options_.out_dir, installed.error().reason);
  }
  return {};
}

Result<void> Keeper::start() {
  if (auto done = make_private_dir(options_.out_dir); !done) return done;
  if (!options_.once) {
    if (auto done = take_up_files(); !done) return done;
  }
  auto token = token_text(options_.token);
  if (!token) return failure_of(token);
  subscription_.emplace(store_, *this);
  auto client = IdentityClient::make(loop_.executor(), dialer_, *resolver_, store_,
                                     {std::move(*token), options_.control_plane, options_.lifetime_seconds}, *this);
  if (!client) return failure_of(client);
  client_ = std::move(*client);
  if (options_.once) first_timer_.start_after(loop_.executor().timers, kFirstTimeout);
  return {};
}

void Keeper::on_material(const SharedMaterial& material) {
  if (auto written = write_identity(options_.out_dir, *material); !written) {
    PILLION_LOG(error, "identity: {}", written.error().to_string());
    if (options_.once) stop(written.error().to_string());
    return;
  }
  PILLION_LOG(info, "identity: {} in {}, valid until {}", material->spiffe_id, options_.out_dir,
              format_rfc3339_ms(material->not_after * 1'000'000));
  if (options_.once) loop_.stop();
}

void Keeper::on_identity_failed(std::string_view reason, bool final) {
  last_reason_ = reason;
  if (final && (options_.once || store_.current() == nullptr)) stop(std::string(reason));
}

void Keeper::stop(std::string reason) {
  failure_ = std::move(reason);
  loop_.stop();
}

}  // namespace

int run_identity(const IdentityCommandOptions& options, std::ostream& err) {
  const auto fail = [&err](const std::string& reason) {
    err << "pillion identity: " << reason << "\n";
    return 1;
  };
  set_log_thread_name("main");
  event::ignore_sigpipe();
  StatSlab stats;
  event::Loop loop(std::random_device{}(), stats);
  const event::SignalWatch on_term(loop, SIGTERM, event::Callback::bind<&event::Loop::stop>(&loop));
  const event::SignalWatch on_int(loop, SIGINT, event::Callback::bind<&event::Loop::stop>(&loop));
  Keeper keeper(loop, options);
  if (auto started = keeper.start(); !started) return fail(started.error().to_string());
  loop.run();
  return keeper.failure_text().empty() ? 0 : fail(keeper.failure_text());
}

}  // namespace pillion::certs
