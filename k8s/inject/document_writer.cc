// The writing half of document.h.

#include <algorithm>
#include <array>
#include <cctype>

#include "k8s/inject/document.h"

namespace pillion::k8s {
namespace {

// Characters that no plain or literal scalar of ours may hold: controls, and what YAML 1.1 takes for a line break.
bool has_special_bytes(std::string_view text) {
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f) return true;
  }
  constexpr std::array<std::string_view, 4> kBreaks = {"\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xef\xbb\xbf"};
  return std::any_of(kBreaks.begin(), kBreaks.end(), [&](std::string_view b) { return text.contains(b); });
}

// Words and numbers that would come back as something other than a string. Rather one quote too many than one too few.
bool looks_typed(std::string_view text) {
  constexpr std::array<std::string_view, 10> kWords = {"null", "true", "false", "yes", "no",
                                                       "on",   "off",  "y",     "n",   "~"};
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (std::find(kWords.begin(), kWords.end(), lower) != kWords.end()) return true;
  const size_t digit = lower.find_first_not_of("+-");
  if (digit == std::string::npos) return true;
  if (lower[digit] < '0' || lower[digit] > '9') return false;
  return lower.find_first_not_of("0123456789abcdefox.,_:+-", digit) == std::string::npos;
}

bool can_be_plain(std::string_view text) {
  if (text.empty() || text.ends_with(':') || looks_typed(text)) return false;
  const char first = text.front();
  if (!std::isalnum(static_cast<unsigned char>(first)) && first != '/' && first != '$' && first != '-') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("_./$()=+:,-").find(c) != std::string_view::npos;
  });
}

// Whether a literal block (|) gives exactly this text back. A first line that is empty or indented would need an
// indentation indicator, and a line of blanks alone may be read as no line at all.
bool can_be_literal(std::string_view text) {
  if (!text.contains('\n') || has_special_bytes(text) || text.ends_with("\n\n")) return false;
  if (std::string_view("\n \t").contains(text.front())) return false;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    const auto line = text.substr(start, end - start);
    if (!line.empty() && line.find_first_not_of(" \t") == std::string_view::npos) return false;
    start = end + 1;
  }
  return true;
}

std::string double_quoted(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto rest = text.substr(i);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (rest.starts_with("\xc2\x85")) {
      out += "\\u0085";
      i += 1;
    } else if (rest.starts_with("\xe2\x80\xa8") || rest.starts_with("\xe2\x80\xa9")) {
      out += rest[2] == '\xa8' ? "\\u2028" : "\\u2029";
      i += 2;
    } else if (rest.starts_with("\xef\xbb\xbf")) {
      out += "\\uFEFF";
      i += 2;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      constexpr std::string_view kHex = "0123456789ABCDEF";
      out += {'\\', 'x', kHex[static_cast<unsigned char>(c) >> 4], kHex[c & 0xf]};
    } else {
      out += c;
    }
  }
  return out + "\"";
}

// A plain scalar of several lines, folded in the source, cannot be anything but a string.
bool is_text(const Node& node) {
  return node.style != Node::Style::plain || node.scalar.contains('\n');
}

class Writer {
 public:
  // A map or a sequence with content, each line indented.
  std::string block(const Node& node, size_t indent) {
    std::string out;
    const std::string blanks(indent, ' ');
    for (const Node& item : node.items) {
      if (!is_block(item) || !item.tag.empty()) {
        out += blanks + "-" + value(item, indent, indent + 2);
      } else {
        // The item's first line stands behind the dash.
        std::string nested = block(item, indent + 2);
        nested.replace(0, indent + 2, blanks + "- ");
        out += nested;
      }
    }
    for (const Entry& entry : node.entries) {
      // kubectl writes a list below a key without further indentation.
      out +=
          blanks + key(entry.key) + ":" + value(entry.value, indent, entry.value.is_sequence() ? indent : indent + 2);
    }
    return out;
  }

 private:
  static bool is_block(const Node& node) { return !node.items.empty() || !node.entries.empty(); }

  static std::string key(const Node& node) {
    if (!node.tag.empty()) return tag(node) + " " + inline_scalar(node);
    return can_be_plain(node.scalar) ? node.scalar : inline_scalar(node);
  }

  static std::string tag(const Node& node) { return node.tag.empty() ? "" : "!<" + node.tag + ">"; }

  // What follows a colon or a dash, with the line's end.
  std::string value(const Node& node, size_t indent, size_t block_indent) {
    std::string out = node.tag.empty() ? "" : " " + tag(node);
    if (is_block(node)) return out + "\n" + block(node, block_indent);
    switch (node.kind) {
      case Node::Kind::null: return out + " null\n";
      case Node::Kind::map: return out + " {}\n";
      case Node::Kind::sequence: return out + " []\n";
      case Node::Kind::scalar: break;
    }
    if (is_text(node) && can_be_literal(node.scalar)) return out + literal(node.scalar, indent + 2);
    return out + " " + inline_scalar(node) + "\n";
  }

  static std::string inline_scalar(const Node& node) {
    if (!is_text(node) || (node.style == Node::Style::text && can_be_plain(node.scalar))) return node.scalar;
    return double_quoted(node.scalar);
  }

  static std::string literal(std::string_view text, size_t indent) {
    std::string out = text.ends_with('\n') ? " |\n" : " |-\n";
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size());
      if (end > 0) out += std::string(indent, ' ') + std::string(text.substr(0, end));
      out += "\n";
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
  }
};

}  // namespace

bool same_value(const Node& a, const Node& b) {
  if (a.kind != b.kind || a.tag != b.tag || a.scalar != b.scalar) return false;
  // Without its quotes a string is still one when its text cannot be anything else.
  if (a.is_scalar() && is_text(a) != is_text(b) && !can_be_plain(a.scalar)) return false;
  const auto same_entry = [](const Entry& x, const Entry& y) {
    return same_value(x.key, y.key) && same_value(x.value, y.value);
  };
  return std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), same_value) &&
         std::equal(a.entries.begin(), a.entries.end(), b.entries.begin(), b.entries.end(), same_entry);
}

std::string write_documents(const std::vector<Node>& documents) {
  std::string out;
  bool first = true;
  for (const Node& document : documents) {
    if (document.is_null()) continue;
    if (!first) out += "---\n";
    first = false;
    out += Writer().block(document, 0);
  }
  return out;
}

}  // namespace pillion::k8s
