// Reads YAML documents that people wrote. Every value knows its line and its path; whatever is wrong is noted with
// both and reading goes on, so that one run shows all mistakes of a file. Nothing here throws.
#pragma once

#include <yaml-cpp/yaml.h>

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "xds/control/model.h"

namespace pillion::xds::control {

inline constexpr size_t kMaxYamlFileBytes = 16 << 20;
inline constexpr size_t kMaxYamlDocuments = 20000;   // per file
inline constexpr size_t kMaxYamlValues = 2'000'000;  // values read per file: bounds what anchors can blow up
inline constexpr size_t kMaxYamlErrors = 50;         // per file; the rest is counted only

// What is wrong with one file.
class YamlReport {
 public:
  explicit YamlReport(std::string file) : file_(std::move(file)) {}
  void add(int line, std::string path, std::string reason);
  void add(const ConfigError& error);
  bool count_value();  // false once kMaxYamlValues is passed
  const std::string& file() const { return file_; }
  std::vector<ConfigError> take() { return std::move(errors_); }
  bool empty() const { return errors_.empty(); }

 private:
  std::string file_;
  std::vector<ConfigError> errors_;
  size_t values_ = 0;
};

class YamlValue {
 public:
  YamlValue(YAML::Node node, std::string path, int line, YamlReport& report)
      : node_(std::move(node)), path_(std::move(path)), line_(line), report_(&report) {}

  Place place() const { return {report_->file(), line_, path_}; }
  void fail(std::string reason) const { report_->add(line_, path_, std::move(reason)); }
  bool is_null() const { return !node_.IsDefined() || node_.IsNull(); }
  bool is_map() const { return node_.IsMap(); }
  const YAML::Node& node() const { return node_; }
  YamlReport& report() const { return *report_; }
  const std::string& path() const { return path_; }

  // Each of these notes an error and returns an empty value where the YAML has something else.
  std::string text() const;
  std::optional<uint32_t> number(uint32_t lowest, uint32_t highest) const;
  std::optional<double> decimal(double lowest, double highest) const;
  std::optional<bool> boolean() const;
  std::optional<Milliseconds> duration() const;  // Gateway API, GEP-2257: 1h30m, 250ms, 0s
  std::string dns_name() const;                  // a Kubernetes object name: [a-z0-9.-], at most 253
  std::string ip() const;                        // an IPv4 or IPv6 address, in its canonical form
  std::vector<YamlValue> items() const;
  std::vector<std::pair<std::string, YamlValue>> entries() const;  // of a mapping, duplicates refused
  std::map<std::string, std::string> string_map() const;

  // One of the names, compared without regard to case.
  template <class E>
  std::optional<E> one_of(std::initializer_list<std::pair<std::string_view, E>> names) const {
    const std::string have = text();
    if (have.empty()) return std::nullopt;
    for (const auto& [name, value] : names) {
      if (same_ignoring_case(name, have)) return value;
    }
    std::vector<std::string_view> all;
    for (const auto& [name, value] : names) all.push_back(name);
    fail(unknown_text(have, all));
    return std::nullopt;
  }

 private:
  static bool same_ignoring_case(std::string_view a, std::string_view b);
  static std::string unknown_text(std::string_view have, const std::vector<std::string_view>& known);

  YAML::Node node_;
  std::string path_;
  int line_;  // 1-based
  YamlReport* report_;
};

// A mapping with known keys. An unknown key is an error that names the nearest known one; a key of `ignored` is a field
// of Kubernetes that means nothing to the mesh.
class YamlMap {
 public:
  YamlMap(const YamlValue& value, std::initializer_list<std::string_view> known,
          std::initializer_list<std::string_view> ignored = {});

  std::optional<YamlValue> get(std::string_view key) const;  // null counts as absent
  std::optional<YamlValue> require(std::string_view key) const;
  std::string text(std::string_view key) const;  // empty where it is absent
  void fail(std::string reason) const { self_.fail(std::move(reason)); }
  const YamlValue& value() const { return self_; }

 private:
  YamlValue self_;
  std::vector<std::pair<std::string, YamlValue>> entries_;
};

std::optional<Milliseconds> parse_duration(std::string_view text);

}  // namespace pillion::xds::control
