// Incremental xDS: requests carry changes of the subscription, and separately the answer to each response.
#pragma once

#include <deque>

#include "xds/client/ads_stream.h"

namespace pillion::xds::client {

class DeltaStream final : public AdsStream {
 public:
  explicit DeltaStream(std::string node) : node_(std::move(node)) {}
  void resume(std::string_view type_url, std::string, std::map<std::string, std::string> resource_versions) override;
  void want_all(std::string_view type_url) override;
  void want(std::string_view type_url, NamesPtr names) override;
  std::optional<std::string> pull() override;
  std::expected<Response, std::string> on_message(std::string_view bytes) override;
  void acknowledge(const Response& response, const std::vector<ResourceError>& errors) override;

 private:
  struct Answer {
    std::string nonce;
    std::string error;  // empty: ACK
  };
  struct Type {
    bool wanted = false;
    bool all = false;
    bool opened = false;  // the first request of the type went out
    NamesPtr names = std::make_shared<const std::set<std::string>>();
    NamesPtr told = names;                    // what the server knows of
    std::map<std::string, std::string> held;  // versions of an earlier stream, for the first request
    std::deque<Answer> answers;
  };

  std::string node_;  // empty once it was sent
  std::map<std::string, Type, std::less<>> types_;
};

}  // namespace pillion::xds::client
