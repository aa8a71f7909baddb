// The identity that a process has now. Belongs to the main loop and is used from there only; what it publishes is
// immutable and may go to any thread. A material that would not work is refused and the one in use stays.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "certs/result.h"
#include "certs/rotate.h"
#include "proxy/base/random.h"
#include "proxy/base/tls_material.h"

namespace pillion::certs {

using SharedMaterial = std::shared_ptr<const TlsMaterial>;

class StoreEvents {
 public:
  // The certificate or the roots have changed. May subscribe and unsubscribe, may not install.
  virtual void on_material(const SharedMaterial& material) = 0;

 protected:
  ~StoreEvents() = default;
};

class Store {
 public:
  // Dropping it ends the notices. The store must outlive it.
  class Subscription {
   public:
    Subscription(Store& store, StoreEvents& events);
    ~Subscription();
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;

   private:
    Store& store_;
    StoreEvents& events_;
  };

  // `random` spreads the renewals; it must outlive the store.
  explicit Store(Random& random) : random_(random) {}

  // Null until the first certificate has come.
  const SharedMaterial& current() const { return current_; }

  // A new certificate with its key and the roots that came with it. Checked as make_material() says; on an error
  // nothing changes, and the caller reports it with renewal_failed().
  Result<void> install(std::string cert_chain, std::string private_key, std::string trust_bundle, int64_t now);
  // Other roots for the same certificate, which must lead to one of them. The same roots again change nothing.
  Result<void> replace_bundle(std::string trust_bundle, int64_t now);

  void renewal_failed(std::string reason, int64_t now) { schedule_.failed(std::move(reason), now, random_); }
  bool renewal_due(int64_t now) const { return schedule_.due(now); }  // True also before the first certificate.
  RenewalState renewal(int64_t now) const { return schedule_.state(now); }

 private:
  void publish(TlsMaterial material);

  Random& random_;
  SharedMaterial current_;
  RenewalSchedule schedule_;
  uint64_t last_version_ = 0;
  // A subscriber that leaves during a notice leaves a hole, which is closed when the notice is over.
  std::vector<StoreEvents*> subscribers_;
  bool notifying_ = false;
};

}  // namespace pillion::certs
