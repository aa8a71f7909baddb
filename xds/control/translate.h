// Model x class of nodes -> the xDS v3 resources that a node of the class is served. A pure function: the same input
// gives the same bytes. What is emitted is accepted by Envoy 1.40, and by Pillion, which reads the same API.
//
// What a sidecar is told about (names as users of Envoy's meshes know them):
//
//   listener virtualOutbound 0.0.0.0:15001   captured connections; handed to the listener of their destination, others
//                                            pass through (PassthroughCluster) or end (BlackHoleCluster)
//   listener SERVICE_IP_PORT                 not bound; HTTP by RDS, or TCP, or whichever the first bytes show
//   route    HOST:PORT                       one per HTTP port of a service
//   cluster  outbound|PORT||HOST             EDS; mutual TLS towards endpoints with a sidecar, plain text to others
//   cluster  outbound|PORT|direct|HOST       ORIGINAL_DST; a headless service's pods, each by its own address
//   listener virtualInbound 0.0.0.0:15006    filter chains by port of the pod
//   cluster  inbound|PORT||                  the application
//
// Between sidecars HTTP/1 travels as HTTP/2 (TrafficPolicy connectionPool.upgradeToHttp2). A Pillion agrees on it with
// each endpoint by ALPN, and where that is a Pillion too, on the kind that carries all of HTTP/1 (config::kCarryAlpn);
// so it does for ports whose protocol is not declared, where an HTTP/2 that does not say what the client spoke would
// reach the application. An Envoy is told HTTP/2 where every endpoint has a sidecar. No private ALPN names are in what
// is emitted: gRPC's and other clients could not send them, and Envoy's HTTP codec would not recognise them. Where an
// inbound port could also carry TLS of the application itself (permissive mode, a port that is not declared as HTTP),
// the mesh's TLS is known by its SNI, `outbound_.PORT_._.HOST`.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "xds/control/model.h"
#include "xds/control/resources.h"

namespace envoy::config::core::v3 {
class Node;
}

namespace pillion::xds::control {

inline constexpr uint16_t kOutboundPort = 15001;
inline constexpr uint16_t kInboundPort = 15006;
inline constexpr const char* kTlsFilesKey = "PILLION_TLS_FILES";  // node metadata of an Envoy: where its files are
inline constexpr const char* kIdentitySecret = "default";         // names in the workload's own store
inline constexpr const char* kTrustSecret = "ROOTCA";

struct TranslateOptions {
  std::string trust_domain = "cluster.local";
  std::string cluster_domain = "cluster.local";  // the tail of HOST
};

// Everything about a node that its configuration depends on. Nodes with equal classes are served the same set.
struct NodeClass {
  enum class Kind : uint8_t {
    sidecar,  // captures traffic
    grpc,     // a gRPC client or server with its own xDS: listeners are named HOST:PORT
  };
  Kind kind = Kind::sidecar;
  Name service_account;          // from the certificate: namespace and name
  std::string zone;              // empty: not known, no zone is preferred
  std::vector<std::string> ips;  // of the pod; empty: not in the model, so it has no inbound ports
  std::string tls_files;         // of an Envoy: the directory of `pillion identity --out`; empty: the node's own store
  auto operator<=>(const NodeClass&) const = default;
};

// Who a stream belongs to. The service account comes from its certificate. Which of the account's pods it is may be
// said by the peer's address or by `node`, because all of them may read the same; pods of other accounts are never
// considered.
NodeClass classify(const Model& model, const Name& service_account, std::string_view peer_ip,
                   const envoy::config::core::v3::Node& node);

// The address that a node names in its id ("sidecar~IP~POD.NS~DOMAIN") or in metadata POD_IP; empty if none.
std::string claimed_ip(const envoy::config::core::v3::Node& node);

std::shared_ptr<ResourceSet> translate(const Model& model, const NodeClass& node, const TranslateOptions& options);

// HOST: web.shop.svc.cluster.local
std::string host_of(const Service& service, const TranslateOptions& options);
// outbound|80||HOST
std::string cluster_name(const Service& service, uint16_t port, const TranslateOptions& options,
                         std::string_view subset = {});
// spiffe://cluster.local/ns/shop/sa/web
std::string spiffe_id(const Name& service_account, const TranslateOptions& options);

}  // namespace pillion::xds::control
