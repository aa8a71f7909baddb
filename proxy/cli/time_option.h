// Options that are times of whole seconds.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <map>
#include <string>

namespace pillion::cli {

// A number with the unit s, m, h or d; without one it counts seconds.
inline CLI::Option* add_seconds(CLI::App& app, const std::string& name, int64_t& value, const std::string& help) {
  static const std::map<std::string, int64_t> kUnits{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
  return app.add_option(name, value, help)->transform(CLI::AsNumberWithUnit(kUnits));
}

}  // namespace pillion::cli
