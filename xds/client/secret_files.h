// Secrets that are read from files: SDS with a path_config_source. A file holds a DiscoveryResponse, as YAML or JSON,
// with the secret among its resources; it is read when somebody first names it, and again whenever it changes or
// something in a watched_directory moves. What cannot be read or used is told in the log, and the last good secret
// stays. Files that a secret itself names are not watched: they are read when the file that names them is.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/base/config_error.h"
#include "proxy/config/snapshot.h"
#include "proxy/event/loop.h"
#include "xds/client/tls_wishes.h"

namespace pillion::xds::client {

// The keys are those of Snapshot::secrets. Told from watch(), later from the loop. Nothing here may call watch() with
// other wishes than the last.
class SecretFileEvents {
 public:
  // A secret that is new or has changed, and can be used.
  virtual void on_file_secret(const std::string& key, std::shared_ptr<const TlsMaterial> material) = 0;
  // Nobody wants it any more.
  virtual void on_file_secret_gone(const std::string& key) = 0;

 protected:
  ~SecretFileEvents() = default;
};

// The good ones among those wanted that a file holds; the errors say what is wrong with the others.
struct FileSecrets {
  config::Table<TlsMaterial> secrets;  // by name
  std::vector<ConfigError> errors;
};
FileSecrets read_secret_file(const std::string& path, const SecretWishes& wishes);

class SecretFiles {
 public:
  // Both outlive it.
  SecretFiles(event::Loop& loop, SecretFileEvents& events);
  SecretFiles(const SecretFiles&) = delete;
  SecretFiles& operator=(const SecretFiles&) = delete;
  ~SecretFiles();

  // What is wanted from now on. Files that are new are read, and what is in them told, before it returns; files that
  // nobody names any more are let go.
  void watch(const FileWishes& wishes);

 private:
  class File;
  event::Loop& loop_;
  SecretFileEvents& events_;
  FileWishes wishes_;
  std::map<std::string, std::unique_ptr<File>> files_;  // by path
};

}  // namespace pillion::xds::client
