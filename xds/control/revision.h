// Numbered revisions of what was in force, in the state directory, one file each:
//
//   STATE/revisions/0000000007.rev
//
// A file is written whole under another name and then takes its own in one step, and carries a checksum; one that a
// crash or a disk has damaged is skipped. These calls block: they are for the start and for a change of the files.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "proxy/base/config_error.h"
#include "xds/control/yaml_source.h"

namespace pillion::xds::control {

inline constexpr size_t kKeptRevisions = 100;
inline constexpr size_t kMaxRevisionBytes = size_t{256} << 20;

struct Revision {
  uint64_t number = 0;
  int64_t wall_us = 0;  // when it came into force, microseconds since the Unix epoch
  std::string author;   // who or what changed it
  std::string note;     // what changed, in words
  std::vector<SourceFile> files;
};

class RevisionStore {
 public:
  // Makes the directory where it is missing, and finds the newest revision that is whole.
  static std::expected<RevisionStore, ConfigError> open(const std::string& state_dir);

  const std::optional<Revision>& newest() const { return newest_; }
  // Keeps `files` as the next revision; the oldest beyond kKeptRevisions are removed. Returns its number. Files equal
  // to the newest revision's make none.
  std::expected<uint64_t, ConfigError> append(std::vector<SourceFile> files, int64_t wall_us, std::string author,
                                              std::string note);
  std::expected<Revision, ConfigError> read(uint64_t number) const;
  std::vector<uint64_t> numbers() const;  // ascending

 private:
  explicit RevisionStore(std::string dir) : dir_(std::move(dir)) {}
  std::string path_of(uint64_t number) const;

  std::string dir_;
  std::optional<Revision> newest_;
  uint64_t last_number_ = 0;  // also of damaged ones: a number is never used twice
};

// The form on disk. parse_revision refuses whatever is not exactly what format_revision wrote.
std::string format_revision(const Revision& revision);
std::optional<Revision> parse_revision(std::string_view bytes);

// "added web.yaml, shop.yaml; changed orders.yaml": the note of a change.
std::string describe_change(const std::vector<SourceFile>& before, const std::vector<SourceFile>& after);

}  // namespace pillion::xds::control
