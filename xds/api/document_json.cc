// JSON (RFC 8259) into the tree, strictly. A parser of our own because the others that are at hand lose the lines.
#include <algorithm>

#include "xds/api/document_builder.h"

namespace pillion::xds {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

void append_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

class JsonParser {
 public:
  JsonParser(std::string_view text, std::string_view name) : text_(text), builder_(name) {}

  Document parse() {
    value();
    skip_space();
    if (at_ < text_.size()) fail("there is more after the end of the document");
    return builder_.take();
  }

 private:
  [[noreturn]] void fail(const std::string& reason) const { throw ParseStop{line_, "not JSON: " + reason}; }

  void skip_space() {
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') ++line_;
      if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return;
    }
  }

  // The next character that is not space; 0 at the end.
  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  // Recursion is bounded by the builder's depth limit.
  void value() {
    const char c = peek();
    if (c == '{') return map();
    if (c == '[') return list();
    if (c == '"') {
      const int line = line_;
      builder_.scalar(line, string(), true);
    } else if (c == '-' || is_digit(c)) {
      builder_.scalar(line_, number(), false);
    } else {
      word();
    }
  }

  void map() {
    builder_.begin(Node::Kind::map, line_);
    ++at_;
    if (!take('}')) {
      do {
        if (peek() != '"') fail("expected a key in double quotes");
        const int line = line_;
        builder_.key(line, string(), false);
        if (!take(':')) fail("expected ':' after a key");
        value();
      } while (take(','));
      if (!take('}')) fail("expected ',' or '}'");
    }
    builder_.end();
  }

  void list() {
    builder_.begin(Node::Kind::list, line_);
    ++at_;
    if (!take(']')) {
      do value();
      while (take(','));
      if (!take(']')) fail("expected ',' or ']'");
    }
    builder_.end();
  }

  void word() {
    const std::string_view rest = text_.substr(at_);
    for (const std::string_view known : {"true", "false", "null"}) {
      if (!rest.starts_with(known)) continue;
      at_ += known.size();
      if (known == "null") {
        builder_.null(line_);
      } else {
        builder_.scalar(line_, std::string(known), false);
      }
      return;
    }
    fail(rest.empty() ? "the document ends too early" : "expected a value");
  }

  std::string number() {
    const size_t start = at_;
    const auto digits = [this] {
      const size_t first = at_;
      while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
      if (at_ == first) fail("a number lacks digits");
    };
    if (text_[at_] == '-') ++at_;
    if (at_ < text_.size() && text_[at_] == '0') {
      ++at_;
      if (at_ < text_.size() && is_digit(text_[at_])) fail("a number starts with 0");
    } else {
      digits();
    }
    if (at_ < text_.size() && text_[at_] == '.') {
      ++at_;
      digits();
    }
    if (at_ < text_.size() && (text_[at_] | 0x20) == 'e') {
      ++at_;
      if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
      digits();
    }
    return std::string(text_.substr(start, at_ - start));
  }

  std::string string() {
    std::string out;
    for (++at_; at_ < text_.size();) {
      const char c = text_[at_++];
      if (c == '"') return out;
      if (static_cast<unsigned char>(c) < 0x20) fail("a control character in a string");
      if (c == '\\') {
        escape(out);
      } else {
        out += c;
      }
    }
    fail("a string has no end");
  }

  void escape(std::string& out) {
    static constexpr std::string_view kFrom = "\"\\/bfnrt";
    static constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
    const char c = at_ < text_.size() ? text_[at_++] : '\0';
    if (c == 'u') return append_utf8(out, unicode());
    const size_t which = kFrom.find(c);
    if (which == std::string_view::npos) fail("an unknown escape in a string");
    out += kTo[which];
  }

  uint32_t unicode() {
    const uint32_t first = hex4();
    if (first < 0xD800 || first > 0xDFFF) return first;
    if (first > 0xDBFF || !text_.substr(at_).starts_with("\\u")) fail("half of a surrogate pair in a string");
    at_ += 2;
    const uint32_t second = hex4();
    if (second < 0xDC00 || second > 0xDFFF) fail("half of a surrogate pair in a string");
    return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
  }

  uint32_t hex4() {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = at_ < text_.size() ? text_[at_] : '\0';
      const char lower = static_cast<char>(c | 0x20);
      if (!is_digit(c) && (lower < 'a' || lower > 'f')) fail("\\u needs four hexadecimal digits");
      value = value << 4 | static_cast<uint32_t>(is_digit(c) ? c - '0' : lower - 'a' + 10);
    }
    return value;
  }

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
  DocumentBuilder builder_;
};

}  // namespace

std::vector<Document> parse_json(std::string_view text, std::string_view name) {
  return {JsonParser(text, name).parse()};
}

}  // namespace pillion::xds
