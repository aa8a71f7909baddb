#include "k8s/capture/command.h"

#include "k8s/capture/capture.h"
#include "k8s/capture/nat_table.h"

namespace pillion::k8s {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kBadValue = 2;

int report(const CaptureError& error, std::ostream& err) {
  err << "pillion init: " << error.reason << "\n";
  return kFailed;
}

int show(const CaptureConfig& config, std::ostream& out) {
  for (const Family family : {Family::v4, Family::v6}) {
    if (wanted_rules(config, family).empty()) continue;
    out << "# " << name_of(family) << ", for " << (family == Family::v4 ? "iptables" : "ip6tables")
        << "-restore --noflush\n"
        << render_restore(config, family);
  }
  if (config.ipv6) out << "# and the address " << inbound_bind_address(Family::v6) << "/128 on lo\n";
  return kDone;
}

int check(const CaptureConfig& config, PacketFilter& filter, std::ostream& out, std::ostream& err) {
  const auto differences = verify(config, filter);
  if (!differences) return report(differences.error(), err);
  for (const std::string& difference : *differences) out << difference << "\n";
  if (!differences->empty()) return kFailed;
  out << "the rules are as wanted\n";
  return kDone;
}

int change(std::expected<bool, CaptureError> result, const char* changed, const char* unchanged, std::ostream& out,
           std::ostream& err) {
  if (!result) return report(result.error(), err);
  out << (*result ? changed : unchanged) << "\n";
  return kDone;
}

}  // namespace

int run_init(const InitOptions& options, std::ostream& out, std::ostream& err) {
  SystemPacketFilter filter;
  return run_init(options, ipv6_available(), filter, out, err);
}

int run_init(const InitOptions& options, bool ipv6_available, PacketFilter& filter, std::ostream& out,
             std::ostream& err) {
  if (options.action == InitAction::clean) {
    return change(clean(filter), "the rules are removed", "there was nothing to remove", out, err);
  }
  const auto config = parse_capture(options.values, ipv6_available);
  if (!config) {
    err << "pillion init: " << config.error().to_string() << "\n";
    return kBadValue;
  }
  switch (options.action) {
    case InitAction::dry_run: return show(*config, out);
    case InitAction::verify: return check(*config, filter, out, err);
    default: return change(apply(*config, filter), "the rules are in force", "the rules were in force", out, err);
  }
}

}  // namespace pillion::k8s
