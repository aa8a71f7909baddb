// One page of the admin server. Pages that need what this layer may not see (protobuf, Kubernetes) are made elsewhere
// and handed to make_admin_server().
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/rpc/http_server.h"

namespace pillion::admin {

// The parameters behind '?', percent-decoded, in order. A name without '=' has the value "".
class Query {
 public:
  static constexpr size_t kParametersMax = 64;  // more are ignored
  explicit Query(std::string_view text);
  bool has(std::string_view name) const { return get(name).has_value(); }
  std::optional<std::string_view> get(std::string_view name) const;  // the first of that name
  const std::vector<std::pair<std::string, std::string>>& all() const { return all_; }

 private:
  std::vector<std::pair<std::string, std::string>> all_;
};

struct PageRequest {
  const rpc::HttpRequest& http;
  const Query& query;
};

struct PageInfo {
  std::string path;                                             // "/config_dump"
  std::string help;                                             // one line for /help
  bool mutates = false;                                         // POST only; the others take any method
  std::vector<std::pair<std::string, std::string>> parameters;  // name, one line for /help
};

class Page {
 public:
  virtual ~Page() = default;
  virtual const PageInfo& info() const = 0;
  virtual rpc::HttpResponse handle(const PageRequest& request) = 0;
};

inline rpc::HttpResponse text_page(std::string text, int status = 200) {
  return {.status = status, .body = std::move(text)};
}
inline rpc::HttpResponse json_page(std::string json) {
  return {.content_type = "application/json", .body = std::move(json)};
}

}  // namespace pillion::admin
