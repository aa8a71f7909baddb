// State-of-the-world xDS: each request carries all names of its type, the version that is in use, and the nonce that it
// answers.
#pragma once

#include "xds/client/ads_stream.h"

namespace pillion::xds::client {

class SotwStream final : public AdsStream {
 public:
  explicit SotwStream(std::string node) : node_(std::move(node)) {}
  void resume(std::string_view type_url, std::string version, std::map<std::string, std::string>) override;
  void want_all(std::string_view type_url) override;
  void want(std::string_view type_url, NamesPtr names) override;
  std::optional<std::string> pull() override;
  std::expected<Response, std::string> on_message(std::string_view bytes) override;
  void acknowledge(const Response& response, const std::vector<ResourceError>& errors) override;

 private:
  struct Type {
    bool wanted = false;
    bool all = false;
    bool due = false;  // a request must go out
    NamesPtr names = std::make_shared<const std::set<std::string>>();
    std::string version;  // last one accepted; also of an earlier stream
    std::string nonce;    // of the last response
    std::string error;    // NACK: goes out with the next request
  };

  std::string node_;  // empty once it was sent
  std::map<std::string, Type, std::less<>> types_;
};

}  // namespace pillion::xds::client
