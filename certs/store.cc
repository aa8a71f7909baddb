#include "certs/store.h"

#include <algorithm>

#include "certs/lifetimes.h"
#include "certs/material.h"
#include "proxy/base/check.h"

namespace pillion::certs {

Store::Subscription::Subscription(Store& store, StoreEvents& events) : store_(store), events_(events) {
  store_.subscribers_.push_back(&events_);
}

Store::Subscription::~Subscription() {
  auto& list = store_.subscribers_;
  const auto at = std::ranges::find(list, &events_);
  if (at == list.end()) return;
  if (store_.notifying_) {
    *at = nullptr;
  } else {
    list.erase(at);
  }
}

Result<void> Store::install(std::string cert_chain, std::string private_key, std::string trust_bundle, int64_t now) {
  auto material = make_material(std::move(cert_chain), std::move(private_key), std::move(trust_bundle), now);
  if (!material) return failure_of(material);
  // The leaf is backdated by the skew, and the share of its life counts from when it was issued: with lifetimes of
  // seconds the difference decides.
  const int64_t issued_at = std::min(material->not_before + kNotBeforeSkewSeconds, now);
  schedule_.issued(issued_at, material->not_after, now, random_);
  publish(std::move(*material));
  return {};
}

Result<void> Store::replace_bundle(std::string trust_bundle, int64_t now) {
  if (current_ == nullptr) return failure("there is no certificate yet");
  if (current_->trust_bundle == trust_bundle) return {};
  auto material = make_material(current_->cert_chain, current_->private_key, std::move(trust_bundle), now);
  if (!material) return failure_of(material);
  publish(std::move(*material));
  return {};
}

void Store::publish(TlsMaterial material) {
  PILLION_CHECK(!notifying_);
  material.version = ++last_version_;
  current_ = std::make_shared<const TlsMaterial>(std::move(material));
  notifying_ = true;
  const size_t count = subscribers_.size();  // Who subscribes now has read current() already.
  for (size_t i = 0; i < count; ++i) {
    if (subscribers_[i] != nullptr) subscribers_[i]->on_material(current_);
  }
  notifying_ = false;
  std::erase(subscribers_, nullptr);
}

}  // namespace pillion::certs
