#include "proxy/http/carry.h"

#include <algorithm>

#include "proxy/http/octets.h"

namespace pillion::http {
namespace {

constexpr const char* kMalformed = "the spelling of names is malformed";

bool has_capitals(std::string_view name) {
  size_t at = 0;
  for (; at + kWordBytes <= name.size(); at += kWordBytes) {
    const uint64_t word = load_word(name.data() + at);
    if (lower(word) != word) return true;
  }
  if (at == name.size()) return false;
  const uint64_t rest = load_short(name.data() + at, name.size() - at);
  return lower(rest) != rest;
}

}  // namespace

void CarriedWriter::start(char version) {
  value_.assign(1, version);
  in_lower_case_ = 0;
}

void CarriedWriter::start(const RequestHead& head) {
  if (head.version == Version::http10) {
    start(head.authority.empty() ? 'n' : '0');
  } else {
    start('1');
  }
}

void CarriedWriter::add(std::string_view name) {
  if (!has_capitals(name)) {
    ++in_lower_case_;
    return;
  }
  if (value_.size() + in_lower_case_ + 1 + name.size() > kCarriedBytesMax) {
    ++in_lower_case_;
    return;
  }
  value_.append(in_lower_case_, ';');
  value_ += ',';
  value_ += name;
  in_lower_case_ = 0;
}

const char* apply_carried(std::string_view value, HeaderMap& fields, Version& version) {
  switch (value.front()) {
    case '1': version = Version::http11; break;
    case '0':
    case 'n': version = Version::http10; break;
    default: return kMalformed;
  }
  size_t at = 1;
  for (size_t i = 0; at < value.size(); ++i) {
    if (i >= fields.size()) return kMalformed;
    if (value[at] == ';') {
      ++at;
      continue;
    }
    if (value[at] != ',') return kMalformed;
    const size_t length = fields[i].name.size();
    const std::string_view name = value.substr(at + 1, length);
    if (!equals_ignore_case(name, fields[i].name)) return kMalformed;
    fields[i].name = name;
    at += 1 + length;
  }
  return nullptr;
}

}  // namespace pillion::http
