// Secrets that are read from files: SDS with a path_config_source. A file holds a DiscoveryResponse, as YAML or JSON,
// with the secret among its resources; it is read at the start and again whenever it changes. What cannot be read or
// used is told in the log, and the last good secret stays. Files that a secret itself names are not watched: they are
// read when the file that names them changes.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "proxy/base/config_error.h"
#include "proxy/config/snapshot.h"
#include "proxy/event/file_watch.h"

namespace pillion::xds::client {

class SecretFileEvents {
 public:
  // A secret that is new or has changed, and can be used. From start(), later from the loop.
  virtual void on_file_secret(const std::string& name, std::shared_ptr<const TlsMaterial> material) = 0;

 protected:
  ~SecretFileEvents() = default;
};

// The good ones among `names` that a file holds; the errors say what is wrong with the others.
struct FileSecrets {
  config::Table<TlsMaterial> secrets;
  std::vector<ConfigError> errors;
};
FileSecrets read_secret_file(const std::string& path, const std::set<std::string>& names);

class SecretFiles {
 public:
  // The files that TLS contexts of `config` name. A name that two files are asked for is taken from either.
  SecretFiles(event::Loop& loop, const config::Snapshot& config, SecretFileEvents& events);
  SecretFiles(const SecretFiles&) = delete;
  SecretFiles& operator=(const SecretFiles&) = delete;
  ~SecretFiles();

  void start();  // reads all of them: tells what is there before it returns, then watches
  bool is_empty() const { return files_.empty(); }

 private:
  class File;
  event::Loop& loop_;
  SecretFileEvents& events_;
  std::vector<std::unique_ptr<File>> files_;
};

}  // namespace pillion::xds::client
