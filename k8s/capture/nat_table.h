// The live nat table against the wanted rules: reading what iptables-save prints, naming the differences, and writing
// the input by which iptables-restore removes them in one transaction. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "k8s/capture/rules.h"

namespace pillion::k8s {

struct NatTable {
  std::vector<std::string> chains;  // Built-in ones and all others.
  std::vector<Rule> rules;          // In order.
};

// Reads the output of iptables-save. Lines that are not part of the nat table, or neither a chain nor a rule, are
// skipped: comments and the marks of other tables.
NatTable parse_nat_table(std::string_view save_output);

// The input for `iptables-restore --noflush` on a table without our chains: what --dry-run prints.
std::string render_restore(const CaptureConfig& config, Family family);

// The input that turns `live` into what is wanted: our chains are flushed and refilled, jumps to them are added where
// they lack, and jumps that are wrong or doubled go. Rules of others stay as they are, in their order.
std::string render_update(const CaptureConfig& config, Family family, const NatTable& live);

// The input that removes all that is ours and nothing else; empty when nothing of ours is there.
std::string render_clean(const NatTable& live);

// One sentence for each rule that lacks, is too many or stands in another order. Empty: nothing to do.
std::vector<std::string> differences(const CaptureConfig& config, Family family, const NatTable& live);

// A rule's meaning without its spelling, since versions and back ends of iptables print the same rule differently:
// options are sorted, "-m tcp" beside "-p tcp" and full masks are dropped.
std::string normal_form(std::string_view spec);

}  // namespace pillion::k8s
