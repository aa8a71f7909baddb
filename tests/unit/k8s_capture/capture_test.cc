#include "k8s/capture/capture.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

#include "k8s/capture/command.h"
#include "k8s/capture/nat_table.h"

namespace pillion::k8s {
namespace {

// A kernel in miniature: understands the verbs that we send, keeps one nat table per family.
class FakePacketFilter final : public PacketFilter {
 public:
  std::expected<std::string, CaptureError> save(Family family) override {
    if (!save_error[index(family)].empty()) return std::unexpected(CaptureError{save_error[index(family)]});
    const NatTable& table = tables[index(family)];
    std::string out = "*nat\n";
    for (const std::string& chain : table.chains) out += ":" + chain + " - [0:0]\n";
    for (const Rule& rule : table.rules) out += "-A " + rule.chain + " " + rule.spec + "\n";
    return out + "COMMIT\n";
  }

  std::expected<void, CaptureError> restore(Family family, std::string_view input) override {
    ++restores;
    if (!restore_error.empty()) return std::unexpected(CaptureError{restore_error});
    if (ignore_restore) return {};
    NatTable table = tables[index(family)];  // All of it or nothing.
    std::istringstream lines{std::string(input)};
    for (std::string line; std::getline(lines, line);) {
      if (!run(line, table)) return std::unexpected(CaptureError{"the fake does not take: " + line});
    }
    tables[index(family)] = table;
    return {};
  }

  bool has_bind_address() override { return bind_address; }
  std::expected<void, CaptureError> add_bind_address() override { return set_address(true); }
  std::expected<void, CaptureError> remove_bind_address() override { return set_address(false); }

  static size_t index(Family family) { return family == Family::v4 ? 0 : 1; }

  NatTable tables[2] = {{{"PREROUTING", "OUTPUT"}, {{"OUTPUT", "-p udp -j ACCEPT"}}}, {{"PREROUTING", "OUTPUT"}, {}}};
  std::string save_error[2];
  std::string restore_error;
  bool ignore_restore = false;
  bool bind_address = false;
  int restores = 0;

 private:
  std::expected<void, CaptureError> set_address(bool present) {
    bind_address = present;
    return {};
  }

  static bool run(const std::string& line, NatTable& table) {
    if (line == "*nat" || line == "COMMIT") return true;
    const size_t blank = line.find(' ', 3);
    const std::string verb = line.substr(0, 2);
    const std::string chain = line[0] == ':' ? line.substr(1, line.find(' ') - 1) : line.substr(3, blank - 3);
    const std::string spec = blank == std::string::npos ? "" : line.substr(blank + 1);
    const auto known = std::find(table.chains.begin(), table.chains.end(), chain);
    if (line[0] == ':' && known == table.chains.end()) table.chains.push_back(chain);
    if (line[0] != ':' && known == table.chains.end()) return false;
    if (line[0] == ':' || verb == "-F") {
      std::erase_if(table.rules, [&](const Rule& r) { return r.chain == chain; });
    } else if (verb == "-A") {
      table.rules.push_back({chain, spec});
    } else if (verb == "-D") {
      const auto it = std::find(table.rules.begin(), table.rules.end(), Rule{chain, spec});
      if (it == table.rules.end()) return false;
      table.rules.erase(it);
    } else if (verb == "-X") {
      table.chains.erase(known);
    }
    return true;
  }
};

TEST_CASE("capture: applying twice changes once") {
  FakePacketFilter filter;
  CHECK(apply({}, filter) == true);
  CHECK(filter.bind_address);
  CHECK(filter.restores == 2);
  CHECK(verify({}, filter)->empty());
  CHECK(apply({}, filter) == false);
  CHECK(filter.restores == 2);
}

TEST_CASE("capture: cleaning restores what was there before, and twice is once") {
  FakePacketFilter filter;
  const FakePacketFilter before;
  REQUIRE(apply({}, filter));
  CHECK(clean(filter) == true);
  for (const size_t i : {0, 1}) {
    CHECK(filter.tables[i].chains == before.tables[i].chains);
    CHECK(filter.tables[i].rules == before.tables[i].rules);
  }
  CHECK_FALSE(filter.bind_address);
  CHECK(clean(filter) == false);
}

TEST_CASE("capture: switching IPv6 off removes its rules and its address") {
  FakePacketFilter filter;
  REQUIRE(apply({}, filter));
  CaptureConfig config;
  config.ipv6 = false;
  CHECK(apply(config, filter) == true);
  CHECK(filter.tables[1].chains == std::vector<std::string>{"PREROUTING", "OUTPUT"});
  CHECK_FALSE(filter.bind_address);
}

TEST_CASE("capture: a machine without ip6tables is an error only where IPv6 is wanted") {
  FakePacketFilter filter;
  filter.save_error[1] = "ip6tables-save is not installed";
  CaptureConfig config;
  REQUIRE_FALSE(apply(config, filter));
  CHECK(apply(config, filter).error().reason == "ip6tables-save is not installed");
  config.ipv6 = false;
  CHECK(apply(config, filter));
  CHECK(verify(config, filter)->empty());
  CHECK(clean(filter) == true);
}

TEST_CASE("capture: what iptables says reaches the caller, and a restore without effect is noticed") {
  FakePacketFilter filter;
  filter.restore_error = "iptables-restore failed with status 1: line 10";
  REQUIRE_FALSE(apply({}, filter));
  CHECK(apply({}, filter).error().reason == filter.restore_error);
  filter.restore_error.clear();
  filter.ignore_restore = true;
  REQUIRE_FALSE(apply({}, filter));
  CHECK(apply({}, filter).error().reason.starts_with("the rules were written but differ: IPv4 PREROUTING: lacks"));
}

TEST_CASE("pillion init: status and words for each action") {
  FakePacketFilter filter;
  struct Case {
    InitAction action;
    int status;
    const char* words;
  };
  static constexpr Case kCases[] = {
      {InitAction::verify, 1, "IPv4 PREROUTING: lacks the rule: -p tcp -j PILLION_INBOUND\n"},
      {InitAction::dry_run, 0, "# IPv4, for iptables-restore --noflush\n*nat\n:PILLION_INBOUND - [0:0]\n"},
      {InitAction::apply, 0, "the rules are in force\n"},
      {InitAction::apply, 0, "the rules were in force\n"},
      {InitAction::verify, 0, "the rules are as wanted\n"},
      {InitAction::clean, 0, "the rules are removed\n"},
      {InitAction::clean, 0, "there was nothing to remove\n"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.words);
    std::ostringstream out;
    std::ostringstream err;
    CHECK(run_init({.action = c.action}, true, filter, out, err) == c.status);
    CHECK(out.str().starts_with(c.words));
    CHECK(err.str().empty());
  }
}

TEST_CASE("pillion init: a bad value ends with status 2 and touches nothing, a failure with status 1") {
  FakePacketFilter filter;
  std::ostringstream out;
  std::ostringstream err;
  CHECK(run_init({.values = {.inbound_port = "x"}}, true, filter, out, err) == 2);
  CHECK(err.str() == "pillion init: --inbound-port: \"x\" is not a port: give a number from 1 to 65535\n");
  CHECK(filter.restores == 0);
  filter.restore_error = "no";
  CHECK(run_init({}, true, filter, out, err) == 1);
  CHECK(out.str().empty());
}

}  // namespace
}  // namespace pillion::k8s
