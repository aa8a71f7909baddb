// HTTPRoute and GRPCRoute of gateway.networking.k8s.io in the mesh profile: attached to Services.
#pragma once

#include "xds/control/model_core.h"

namespace pillion::xds::control {

enum class MatchType : uint8_t { exact, prefix, regex };

struct PathMatch {
  MatchType type = MatchType::prefix;
  std::string value = "/";
};

struct ValueMatch {  // a header or a query parameter
  MatchType type = MatchType::exact;
  std::string name;
  std::string value;
};

struct RouteMatch {
  PathMatch path;
  std::vector<ValueMatch> headers;
  std::vector<ValueMatch> query;
  std::string method;
  Place at;
};

struct HeaderChange {
  std::vector<std::pair<std::string, std::string>> set;
  std::vector<std::pair<std::string, std::string>> add;
  std::vector<std::string> remove;
  bool empty() const { return set.empty() && add.empty() && remove.empty(); }
};

struct PathChange {
  bool prefix = false;  // ReplacePrefixMatch, otherwise ReplaceFullPath
  std::string value;
};

struct Redirect {
  std::string scheme;
  std::string hostname;
  uint16_t port = 0;
  std::optional<PathChange> path;
  int status = 302;
};

struct Rewrite {
  std::string hostname;
  std::optional<PathChange> path;
};

struct BackendRef {
  Name service;
  uint16_t port = 0;
  uint32_t weight = 1;
  HeaderChange request_headers;
  HeaderChange response_headers;
  Place at;
};

struct Mirror {
  BackendRef backend;
  double percent = 100;  // 0..100
};

struct RouteRetry {
  std::optional<uint32_t> attempts;
  std::optional<Milliseconds> backoff;
  std::vector<uint32_t> codes;
};

struct RouteRule {
  std::string name;
  std::vector<RouteMatch> matches;  // never empty: no matches means `/`
  std::vector<BackendRef> backends;
  HeaderChange request_headers;
  HeaderChange response_headers;
  std::optional<Redirect> redirect;
  std::optional<Rewrite> rewrite;
  std::vector<Mirror> mirrors;
  std::optional<Milliseconds> request_timeout;  // 0: none
  std::optional<Milliseconds> backend_timeout;  // 0: none
  std::optional<RouteRetry> retry;
  Place at;
};

struct ParentRef {
  Name service;
  uint16_t port = 0;         // 0: every port that can carry the route
  std::string section_name;  // a port's name
  Place at;
};

struct Route {  // HTTPRoute and GRPCRoute
  Meta meta;
  bool grpc = false;
  std::vector<ParentRef> parents;
  std::vector<RouteRule> rules;
};

}  // namespace pillion::xds::control
