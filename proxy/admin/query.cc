#include "proxy/admin/page.h"
#include "proxy/rpc/grpc_wire.h"

namespace pillion::admin {
namespace {

std::string decode(std::string_view text) {
  std::string spaces(text);
  for (char& c : spaces) {
    if (c == '+') c = ' ';
  }
  return rpc::percent_decode(spaces);
}

}  // namespace

Query::Query(std::string_view text) {
  while (!text.empty() && all_.size() < kParametersMax) {
    const size_t end = text.find('&');
    const std::string_view one = text.substr(0, end);
    const size_t equals = one.find('=');
    if (!one.empty()) {
      all_.emplace_back(decode(one.substr(0, equals)),
                        equals == std::string_view::npos ? "" : decode(one.substr(equals + 1)));
    }
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
}

std::optional<std::string_view> Query::get(std::string_view name) const {
  for (const auto& [have, value] : all_) {
    if (have == name) return value;
  }
  return std::nullopt;
}

}  // namespace pillion::admin
