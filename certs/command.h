// `pillion token --state DIR --spiffe-id ID`: prints a join token for one workload.
//
//   --state DIR         /var/lib/pillion    the control plane's state directory
//   --spiffe-id ID      who its bearer may become
//   --ttl TIME          1h                  1s to 30d
//   --address ADDR      127.0.0.1:15012     HOST:PORT where the workload finds the control plane
//   --single-use        it is spent with the first certificate
//
// `pillion identity --token T --out DIR`: fetches a certificate as files (certs/files.h, write_identity) and renews it
// until SIGTERM or SIGINT. With files from an earlier run that are still valid no token is needed.
//
//   --token T           the token, or @FILE
//   --out DIR
//   --control-plane A   HOST:PORT; default: what the token says
//   --ttl TIME          to ask for; default: what the control plane gives
//   --once              ends with the first certificate
//
// Exit status of both: 0 done, 1 refused or impossible (the reason goes to the standard error).
#pragma once

#include <cstdint>
#include <ostream>
#include <string>

namespace pillion::certs {

struct TokenOptions {
  std::string state_dir = "/var/lib/pillion";
  std::string spiffe_id;
  int64_t lifetime_seconds = 3600;
  std::string address = "127.0.0.1:15012";
  bool single_use = false;
};
int run_token(const TokenOptions& options, std::ostream& out, std::ostream& err);

struct IdentityCommandOptions {
  std::string token;
  std::string out_dir;
  std::string control_plane;
  int64_t lifetime_seconds = 0;
  bool once = false;
};
int run_identity(const IdentityCommandOptions& options, std::ostream& err);

}  // namespace pillion::certs
