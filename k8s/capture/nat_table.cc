#include "k8s/capture/nat_table.h"

#include <algorithm>

namespace pillion::k8s {
namespace {

std::string line_of(const char* verb, const Rule& rule) {
  return std::string(verb) + " " + rule.chain + " " + rule.spec + "\n";
}

// Words of a rule; a quoted word (a comment) keeps its quotes and its blanks.
std::vector<std::string> words_of(std::string_view spec) {
  std::vector<std::string> words;
  std::string word;
  bool in_quotes = false;
  for (size_t i = 0; i < spec.size(); ++i) {
    const char c = spec[i];
    if (c == ' ' && !in_quotes) {
      if (!word.empty()) words.push_back(std::move(word));
      word.clear();
      continue;
    }
    word += c;
    if (c == '\\' && in_quotes && i + 1 < spec.size()) word += spec[++i];
    if (c == '"') in_quotes = !in_quotes;
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

// One option with its values, in the one spelling that we compare.
std::string normal_option(std::string option) {
  if (option == "-m tcp") return "";
  const bool address = option.starts_with("-s ") || option.starts_with("-d ") || option.starts_with("! -s ") ||
                       option.starts_with("! -d ");
  if (address && option.find('/') == std::string::npos)
    option += option.find(':') == std::string::npos ? "/32" : "/128";
  constexpr std::string_view kFullMask = "/0xffffffff";
  if (option.ends_with(kFullMask)) option.resize(option.size() - kFullMask.size());
  return option;
}

// The chain that a rule jumps to, or empty.
std::string target_of(const Rule& rule) {
  const std::vector<std::string> words = words_of(rule.spec);
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == "-j" || words[i] == "-g") return words[i + 1];
  }
  return "";
}

bool has_chain(const NatTable& table, std::string_view chain) {
  return std::find(table.chains.begin(), table.chains.end(), chain) != table.chains.end();
}

// A rule as it is compared and as it is shown.
struct Compared {
  std::string normal;
  std::string spec;
  friend bool operator==(const Compared& a, const Compared& b) { return a.normal == b.normal; }
};

// What we answer for in one chain: all rules of ours, and of others' chains the jumps into ours.
std::vector<Compared> rules_of(const std::vector<Rule>& rules, std::string_view chain) {
  std::vector<Compared> out;
  for (const Rule& rule : rules) {
    if (rule.chain != chain) continue;
    if (is_capture_chain(chain) || is_capture_chain(target_of(rule))) {
      out.push_back({normal_form(rule.spec), rule.spec});
    }
  }
  return out;
}

// Removes from `from` one item for each item of `items`, and so leaves what is too many in `from`.
std::vector<Compared> without(std::vector<Compared> from, const std::vector<Compared>& items) {
  for (const Compared& item : items) {
    const auto it = std::find(from.begin(), from.end(), item);
    if (it != from.end()) from.erase(it);
  }
  return from;
}

void compare_chain(const std::string& chain, const std::vector<Compared>& wanted, const std::vector<Compared>& found,
                   std::vector<std::string>& out) {
  const std::vector<Compared> lacking = without(wanted, found);
  const std::vector<Compared> extra = without(found, wanted);
  for (const Compared& rule : lacking) out.push_back(chain + ": lacks the rule: " + rule.spec);
  for (const Compared& rule : extra) out.push_back(chain + ": has a rule too many: " + rule.spec);
  if (!lacking.empty() || !extra.empty()) return;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == found[i]) continue;
    out.push_back(chain + ": rule " + std::to_string(i + 1) + " is in another order: wanted: " + wanted[i].spec +
                  "; found: " + found[i].spec);
    return;  // One place out of order moves all that follow, which would only repeat the same news.
  }
}

// The chains to look at: ours, and any other with a jump to or from ours, each once.
std::vector<std::string> chains_to_compare(const std::vector<Rule>& wanted, const NatTable& live) {
  std::vector<std::string> chains;
  const auto add = [&](const std::string& chain) {
    if (std::find(chains.begin(), chains.end(), chain) == chains.end()) chains.push_back(chain);
  };
  for (const Rule& rule : wanted) add(rule.chain);
  for (const std::string& chain : capture_chains()) {
    if (has_chain(live, chain)) add(chain);
  }
  for (const Rule& rule : live.rules) {
    if (is_capture_chain(target_of(rule))) add(rule.chain);
  }
  return chains;
}

}  // namespace

std::string normal_form(std::string_view spec) {
  std::vector<std::string> options;
  bool negated = false;
  for (const std::string& word : words_of(spec)) {
    if (word == "!") {
      negated = true;
    } else if (word.starts_with('-')) {
      options.push_back((negated ? "! " : "") + word);
      negated = false;
    } else if (!options.empty()) {
      options.back() += " " + word;
    } else {
      options.push_back(word);
    }
  }
  for (std::string& option : options) option = normal_option(std::move(option));
  std::erase(options, "");
  std::sort(options.begin(), options.end());
  std::string out;
  for (const std::string& option : options) out += (out.empty() ? "" : " ") + option;
  return out;
}

NatTable parse_nat_table(std::string_view save_output) {
  NatTable table;
  bool in_nat = false;
  while (!save_output.empty()) {
    const size_t end = std::min(save_output.find('\n'), save_output.size());
    std::string_view line = save_output.substr(0, end);
    save_output.remove_prefix(std::min(end + 1, save_output.size()));
    if (line.starts_with('*')) in_nat = line == "*nat";
    if (!in_nat) continue;
    if (line.starts_with(':')) {
      line.remove_prefix(1);
      table.chains.emplace_back(line.substr(0, line.find(' ')));
    } else if (line.starts_with("-A ")) {
      line.remove_prefix(3);
      const size_t blank = std::min(line.find(' '), line.size());
      table.rules.push_back(
          {std::string(line.substr(0, blank)), std::string(line.substr(std::min(blank + 1, line.size())))});
    }
  }
  return table;
}

std::string render_restore(const CaptureConfig& config, Family family) {
  return render_update(config, family, NatTable{});
}

std::string render_update(const CaptureConfig& config, Family family, const NatTable& live) {
  const std::vector<Rule> wanted = wanted_rules(config, family);
  if (wanted.empty()) return render_clean(live);
  std::string out = "*nat\n";
  // With --noflush, naming a chain makes it where it lacks and empties it where it exists.
  for (const std::string& chain : capture_chains()) out += ":" + chain + " - [0:0]\n";
  std::vector<Rule> present;
  for (const Rule& rule : live.rules) {
    if (is_capture_chain(rule.chain) || !is_capture_chain(target_of(rule))) continue;
    const Rule normal{rule.chain, normal_form(rule.spec)};
    const bool right = std::any_of(wanted.begin(), wanted.end(), [&](const Rule& w) {
      return w.chain == normal.chain && normal_form(w.spec) == normal.spec;
    });
    if (right && std::find(present.begin(), present.end(), normal) == present.end()) {
      present.push_back(normal);
    } else {
      out += line_of("-D", rule);
    }
  }
  for (const Rule& rule : wanted) {
    const Rule normal{rule.chain, normal_form(rule.spec)};
    if (std::find(present.begin(), present.end(), normal) == present.end()) out += line_of("-A", rule);
  }
  return out + "COMMIT\n";
}

std::string render_clean(const NatTable& live) {
  std::string jumps;
  std::string flushes;
  std::string deletions;
  for (const Rule& rule : live.rules) {
    if (!is_capture_chain(rule.chain) && is_capture_chain(target_of(rule))) jumps += line_of("-D", rule);
  }
  for (const std::string& chain : capture_chains()) {
    if (!has_chain(live, chain)) continue;
    flushes += "-F " + chain + "\n";
    deletions += "-X " + chain + "\n";
  }
  // All are empty before the first is deleted, since they jump to each other.
  const std::string body = jumps + flushes + deletions;
  return body.empty() ? "" : "*nat\n" + body + "COMMIT\n";
}

std::vector<std::string> differences(const CaptureConfig& config, Family family, const NatTable& live) {
  const std::vector<Rule> wanted = wanted_rules(config, family);
  std::vector<std::string> out;
  for (const std::string& chain : chains_to_compare(wanted, live)) {
    const bool ours = is_capture_chain(chain);
    if (ours && wanted.empty()) {
      out.push_back(chain + ": is a chain too many");
    } else if (ours && !has_chain(live, chain)) {
      out.push_back(chain + ": the chain is not there");
    } else {
      compare_chain(chain, rules_of(wanted, chain), rules_of(live.rules, chain), out);
    }
  }
  return out;
}

}  // namespace pillion::k8s
