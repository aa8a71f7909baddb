// Files that are whole or absent: every write goes to a temporary file, is synced, and then takes its name in one step.
// A full disk, a crash or a second writer leaves what was there before, and an error that names the file and the
// reason. These calls block; they are for start, for tools and for the rare joins of the main loop, never for a worker.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "certs/result.h"
#include "proxy/base/tls_material.h"

namespace pillion::certs {

constexpr mode_t kSecretMode = 0600;
constexpr mode_t kPublicMode = 0644;
constexpr size_t kMaxStateFileBytes = size_t{1} << 20;

// Puts `content` in place of whatever `path` held.
Result<void> replace_file(const std::string& path, std::string_view content, mode_t mode = kSecretMode);
// The same, but only if there is no such file: false, and nothing changed, if there is one. Of several processes that
// start at once, exactly one gets true.
Result<bool> create_file(const std::string& path, std::string_view content, mode_t mode = kSecretMode);
// The whole file, or nothing if there is none. A file larger than `max_bytes` is an error.
Result<std::optional<std::string>> read_file(const std::string& path, size_t max_bytes = kMaxStateFileBytes);
// As read_file, and refuses a file that its group or others can read or write: its secret may be known.
Result<std::optional<std::string>> read_secret_file(const std::string& path, size_t max_bytes = kMaxStateFileBytes);
Result<void> remove_file(const std::string& path);
// Makes `path` with mode 0700 (its parents with the default mode) if it is not there; an existing one is left as it is.
Result<void> make_private_dir(const std::string& path);

// Writes an identity for programs that read files (`pillion identity --out DIR`):
//
//   DIR/current -> .v-Ab12Cd        flipped with one rename(2)
//   DIR/.v-Ab12Cd/{cert.pem,key.pem,ca.pem}
//   DIR/{cert.pem,key.pem,ca.pem} -> current/...
//
// A directory of a version never changes once `current` points to it, and the previous one is kept for readers that
// are in it. A reader that opens DIR/current once and the files relative to it gets a matching pair always; one that
// follows the three links one after the other must, as with Kubernetes volumes, watch for the flip and read again.
// The caller holds no lock; two writers take turns.
Result<void> write_identity(const std::string& dir, const TlsMaterial& material);

struct IdentityFiles {
  std::string cert_chain;
  std::string private_key;
  std::string trust_bundle;
  ~IdentityFiles() { wipe(private_key); }
};
// Reads it back as such a reader does; nothing if there is no identity yet.
Result<std::optional<IdentityFiles>> read_identity(const std::string& dir);

}  // namespace pillion::certs
