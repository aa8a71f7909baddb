#include "proxy/http/message.h"

#include <algorithm>
#include <array>
#include <bit>

#include "proxy/http/octets.h"

namespace pillion::http {
namespace {

constexpr std::array<std::string_view, static_cast<size_t>(HeaderId::kCount)> kNames = {"",
#define X(id, text) text,
                                                                                        PILLION_HEADER_NAMES(X)
#undef X
};

// A perfect hash over length and four letters, with a seed that the compiler looks for. A lookup is then one load and
// one comparison.
constexpr size_t kSlots = 512;

constexpr size_t slot_of(std::string_view name, uint32_t seed) {
  const size_t n = name.size();
  // Letters of both cases are told apart from each other by the five bits that they share.
  const auto bits = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(name[i]) & 0x1f); };
  const uint32_t key = bits(0) | bits(n / 2) << 5 | bits(n > 1 ? n - 2 : 0) << 10 | bits(n - 1) << 15;
  return ((key ^ static_cast<uint32_t>(n) << 20) * seed) >> (32 - std::countr_zero(kSlots));
}

struct NameTable {
  uint32_t seed = 0x9e3779b1;
  std::array<HeaderId, kSlots> slots{};
};

constexpr bool fill(NameTable& table) {
  table.slots.fill(HeaderId::other);
  for (size_t i = 1; i < kNames.size(); ++i) {
    HeaderId& slot = table.slots[slot_of(kNames[i], table.seed)];
    if (slot != HeaderId::other) return false;
    slot = static_cast<HeaderId>(i);
  }
  return true;
}

constexpr NameTable make_name_table() {
  NameTable table;
  while (!fill(table)) table.seed += 2;
  return table;
}

constexpr NameTable kTable = make_name_table();

// Whether `name` is `lower_case`, which has no capitals, in any case of letters.
bool is_spelling_of(std::string_view name, std::string_view lower_case) {
  const size_t n = name.size();
  if (n != lower_case.size()) return false;
  if (n < kWordBytes) return lower(load_short(name.data(), n)) == load_short(lower_case.data(), n);
  const auto same = [&](size_t i) { return lower(load_word(name.data() + i)) == load_word(lower_case.data() + i); };
  for (size_t i = 0; i + kWordBytes < n; i += kWordBytes) {
    if (!same(i)) return false;
  }
  return same(n - kWordBytes);  // overlaps what was compared
}

}  // namespace

HeaderId header_id(std::string_view name) {
  if (name.empty()) return HeaderId::other;
  const HeaderId id = kTable.slots[slot_of(name, kTable.seed)];
  return id != HeaderId::other && is_spelling_of(name, kNames[static_cast<size_t>(id)]) ? id : HeaderId::other;
}

std::string_view header_name(HeaderId id) {
  return id < HeaderId::kCount ? kNames[static_cast<size_t>(id)] : std::string_view();
}

bool equals_ignore_case(std::string_view a, std::string_view b) {
  const size_t n = a.size();
  if (n != b.size()) return false;
  const auto same = [&](size_t i) { return lower(load_word(a.data() + i)) == lower(load_word(b.data() + i)); };
  if (n < kWordBytes) return n == 0 || lower(load_short(a.data(), n)) == lower(load_short(b.data(), n));
  for (size_t i = 0; i + kWordBytes < n; i += kWordBytes) {
    if (!same(i)) return false;
  }
  return same(n - kWordBytes);  // overlaps what was compared
}

bool is_token(std::string_view s) {
  if (s.empty()) return false;
  return std::ranges::all_of(s, is_token_char);
}

bool is_field_value(std::string_view s) {
  for (size_t i = plain_prefix(s); i < s.size(); i += 1 + plain_prefix(s.substr(i + 1))) {
    if (s[i] != '\t') return false;
  }
  return true;
}

size_t HeaderMap::bytes() const {
  size_t n = 0;
  for (const Header& h : fields_) n += h.name.size() + h.value.size() + 4;
  return n;
}

void HeaderMap::set(HeaderId id, std::string_view value) {
  auto first = std::ranges::find(fields_, id, &Header::id);
  if (first == fields_.end()) {
    add(id, value);
    return;
  }
  first->value = value;
  first->is_checked = false;
  fields_.truncate(std::remove_if(first + 1, fields_.end(), [id](const Header& h) { return h.id == id; }));
}

void HeaderMap::set(std::string_view name, std::string_view value) {
  auto same = [name](const Header& h) { return equals_ignore_case(h.name, name); };
  auto first = std::ranges::find_if(fields_, same);
  if (first == fields_.end()) {
    add(name, value);
    return;
  }
  first->value = value;
  first->is_checked = false;
  fields_.truncate(std::remove_if(first + 1, fields_.end(), same));
}

size_t HeaderMap::remove(HeaderId id) {
  return remove_if([id](const Header& h) { return h.id == id; });
}

size_t HeaderMap::remove(std::string_view name) {
  return remove_if([name](const Header& h) { return equals_ignore_case(h.name, name); });
}

void HeaderMap::append(HeaderId id, std::string_view value) {
  auto first = std::ranges::find(fields_, id, &Header::id);
  if (first != fields_.end()) first->is_checked = false;
  if (first == fields_.end()) {
    add(id, value);
  } else if (first->value.empty()) {
    first->value = value;
  } else {
    first->value = arena_->concat({first->value, ",", value});
  }
}

const Header* HeaderMap::find(HeaderId id) const {
  for (const Header& h : fields_) {
    if (h.id == id) return &h;
  }
  return nullptr;
}

const Header* HeaderMap::find(std::string_view name) const {
  for (const Header& h : fields_) {
    if (equals_ignore_case(h.name, name)) return &h;
  }
  return nullptr;
}

std::string_view HeaderMap::get(HeaderId id) const {
  const Header* h = find(id);
  return h != nullptr ? h->value : std::string_view();
}

std::optional<std::string_view> HeaderMap::get_all(std::string_view name) const {
  size_t count = 0;
  size_t bytes = 0;
  std::string_view only;
  for (const Header& h : fields_) {
    if (!equals_ignore_case(h.name, name)) continue;
    only = h.value;
    bytes += h.value.size() + 1;
    ++count;
  }
  if (count == 0) return std::nullopt;
  if (count == 1) return only;
  char* const joined = arena_->allocate(bytes);
  char* at = joined;
  for (const Header& h : fields_) {
    if (!equals_ignore_case(h.name, name)) continue;
    if (at != joined) *at++ = ',';
    at = std::ranges::copy(h.value, at).out;
  }
  return std::string_view(joined, static_cast<size_t>(at - joined));
}

std::string_view name_of(Version v) {
  switch (v) {
    case Version::http10: return "HTTP/1.0";
    case Version::http11: return "HTTP/1.1";
    case Version::http2: return "HTTP/2";
  }
  return "";
}

std::string_view path_without_query(std::string_view path) {
  return path.substr(0, path.find('?'));
}

std::string_view query_of(std::string_view path) {
  const size_t at = path.find('?');
  return at == std::string_view::npos ? std::string_view() : path.substr(at + 1);
}

bool is_grpc(const HeaderMap& headers) {
  static constexpr std::string_view kType = "application/grpc";
  const std::string_view value = headers.get(HeaderId::content_type);
  if (value.size() < kType.size() || !equals_ignore_case(value.substr(0, kType.size()), kType)) return false;
  // application/grpc-web is another protocol.
  return value.size() == kType.size() || std::string_view("+; \t").find(value[kType.size()]) != std::string_view::npos;
}

bool is_idempotent(std::string_view method) {
  for (const std::string_view m : {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}) {
    if (method == m) return true;
  }
  return false;
}

bool has_no_body(std::string_view request_method, uint16_t status) {
  return request_method == "HEAD" || status / 100 == 1 || status == 204 || status == 304;
}

}  // namespace pillion::http
