// `pillion control --config DIR`: the control plane, until SIGTERM or SIGINT.
//
//   --config DIR                  YAML of docs/policy.md, with subdirectories; watched
//   --state DIR                   /var/lib/pillion   root, token key, revisions: the last good state
//   --listen ADDR                 0.0.0.0:15012      ADS and signing, TLS
//   --admin ADDR                  127.0.0.1:15014    /ready /status /revisions, plain HTTP
//   --trust-domain NAME           cluster.local
//   --cluster-domain NAME         cluster.local      the tail of service names
//   --server-name NAME            DNS name or IP address for the server's certificate, repeatable; workloads of Pillion
//                                 look at its SPIFFE ID, other gRPC clients at these
//   --certificate-lifetime TIME   24h                2s to 24h
//   --ca-cert, --ca-key, --ca-roots FILE             an authority that is given
//   -l, --log-level LEVEL         info
//
// `pillion status`: what it has in force, what it refused, and every connected proxy.
//
//   --admin ADDR                  127.0.0.1:15014
//
// Exit status of both: 0 done, 1 it could not start, or could not be asked (the reason goes to the standard error).
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace pillion::xds::control {

struct ControlOptions {
  std::string config_dir;
  std::string state_dir = "/var/lib/pillion";
  std::string listen = "0.0.0.0:15012";
  std::string admin = "127.0.0.1:15014";
  std::string trust_domain = "cluster.local";
  std::string cluster_domain = "cluster.local";
  std::vector<std::string> server_names = {"pillion-control.pillion-system.svc", "localhost", "127.0.0.1", "::1"};
  int64_t certificate_lifetime_seconds = 24 * 60 * 60;
  std::string ca_cert;
  std::string ca_key;
  std::string ca_roots;
  std::string log_level = "info";
};
int run_control(const ControlOptions& options, std::ostream& err);

struct StatusOptions {
  std::string admin = "127.0.0.1:15014";
};
int run_status(const StatusOptions& options, std::ostream& out, std::ostream& err);

}  // namespace pillion::xds::control
