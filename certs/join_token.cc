#include "certs/join_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "certs/encoding.h"
#include "certs/files.h"
#include "certs/openssl.h"

namespace pillion::certs {
namespace {

constexpr std::string_view kVersion = "pjt1.";
constexpr size_t kKeyBytes = 32;
constexpr size_t kMacBytes = 32;
constexpr size_t kIdBytes = 16;
constexpr size_t kFingerprintDigits = 64;
constexpr char kKeyFile[] = "/token.key";
constexpr char kUsedFile[] = "/used-tokens";
constexpr char kNotAToken[] = "this is not a join token, or it was cut or altered on its way";
constexpr char kNotOurs[] = "the join token was not made by this control plane, or it was altered";

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// host:port or [v6]:port, of characters that can stand in a line and in a command.
bool is_address(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (address.size() > kMaxAddressBytes || colon == std::string_view::npos || colon == 0) return false;
  const std::string_view port_text = address.substr(colon + 1);
  const auto port = parse_number<uint16_t>(port_text);
  if (!port.has_value() || *port == 0 || port_text.front() == '0') return false;
  std::string_view host = address.substr(0, colon);
  const bool v6 = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
  if (v6) host = host.substr(1, host.size() - 2);
  return std::ranges::all_of(host, [v6](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           (v6 ? c == ':' || c == '%' : c == '-' || c == '_');
  });
}

// Takes the line `name=value` from the front of `rest`.
std::optional<std::string_view> take_line(std::string_view& rest, std::string_view name) {
  const size_t end = rest.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  if (!line.starts_with(name)) return std::nullopt;
  line.remove_prefix(name.size());
  if (!line.starts_with('=')) return std::nullopt;
  return line.substr(1);
}

std::string payload_of(const JoinToken& token) {
  return "id=" + token.id + "\nspiffe=" + token.spiffe_id.to_string() + "\nexp=" + std::to_string(token.expires_at) +
         "\nroot=" + token.root_fingerprint + "\naddr=" + token.address + "\nonce=" + (token.single_use ? "1" : "0") +
         "\n";
}

std::optional<JoinToken> parse_payload(std::string_view text) {
  std::string_view rest = text;
  const auto id = take_line(rest, "id");
  const auto spiffe = take_line(rest, "spiffe");
  const auto expires = take_line(rest, "exp");
  const auto root = take_line(rest, "root");
  const auto address = take_line(rest, "addr");
  const auto once = take_line(rest, "once");
  if (!id || !spiffe || !expires || !root || !address || !once || !rest.empty()) return std::nullopt;
  auto spiffe_id = SpiffeId::parse(*spiffe);
  const auto expires_at = parse_number<int64_t>(*expires);
  if (!spiffe_id || !expires_at || !is_lower_hex(*id, kIdBytes * 2) || !is_lower_hex(*root, kFingerprintDigits) ||
      !is_address(*address) || (*once != "0" && *once != "1")) {
    return std::nullopt;
  }
  JoinToken token{.id = std::string(*id),
                  .spiffe_id = std::move(*spiffe_id),
                  .expires_at = *expires_at,
                  .root_fingerprint = std::string(*root),
                  .address = std::string(*address),
                  .single_use = *once == "1"};
  // One spelling per token: a leading zero or a plus sign would be a second one.
  if (payload_of(token) != text) return std::nullopt;
  return token;
}

struct TokenParts {
  std::string_view signed_text;  // Version, dot and payload: what the MAC is over.
  std::string mac;
  JoinToken token;
};

std::optional<TokenParts> split_token(std::string_view text) {
  if (text.size() > kMaxTokenBytes || !text.starts_with(kVersion)) return std::nullopt;
  const size_t dot = text.rfind('.');
  if (dot < kVersion.size()) return std::nullopt;
  auto payload = base64url_decode(text.substr(kVersion.size(), dot - kVersion.size()));
  auto mac = base64url_decode(text.substr(dot + 1));
  if (!payload || !mac || mac->size() != kMacBytes) return std::nullopt;
  auto token = parse_payload(*payload);
  if (!token) return std::nullopt;
  return TokenParts{.signed_text = text.substr(0, dot), .mac = std::move(*mac), .token = std::move(*token)};
}

Result<std::string> mac_of(std::string_view text, const std::string& key) {
  std::string mac(kMacBytes, '\0');
  size_t size = 0;
  if (EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, key.data(), key.size(),
                reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                reinterpret_cast<unsigned char*>(mac.data()), mac.size(), &size) == nullptr ||
      size != kMacBytes) {
    return failure("the token's code cannot be computed: " + openssl_reason());
  }
  return mac;
}

Result<std::string> read_or_make_key(const std::string& path) {
  auto found = read_secret_file(path, kKeyBytes);
  if (!found) return failure_of(found);
  if (!found->has_value()) {
    auto fresh = secure_random(kKeyBytes);
    if (!fresh) return fresh;
    auto created = create_file(path, *fresh);
    if (!created || *created) {
      if (created) return fresh;
      wipe(*fresh);
      return failure_of(created);
    }
    wipe(*fresh);
    found = read_secret_file(path, kKeyBytes);  // Another process was faster; theirs is the key.
    if (!found) return failure_of(found);
  }
  if (!found->has_value() || (*found)->size() != kKeyBytes) return failure("the key must have 32 bytes", path);
  return std::move(**found);
}

std::string used_text(const std::map<std::string, int64_t>& used) {
  std::string text;
  for (const auto& [id, expires_at] : used) text += id + " " + std::to_string(expires_at) + "\n";
  return text;
}

}  // namespace

Result<JoinToken> read_join_token(std::string_view token) {
  auto parts = split_token(token);
  if (!parts) return failure(kNotAToken);
  return std::move(parts->token);
}

Result<TokenIssuer> TokenIssuer::open(const std::string& state_dir, int64_t now) {
  if (auto ok = make_private_dir(state_dir); !ok) return failure_of(ok);
  auto key = read_or_make_key(state_dir + kKeyFile);
  if (!key) return failure_of(key);
  TokenIssuer issuer(state_dir + kUsedFile, std::move(*key));
  if (auto ok = issuer.load_used(now); !ok) return failure_of(ok);
  return issuer;
}

Result<void> TokenIssuer::load_used(int64_t now) {
  auto text = read_file(used_path_);
  if (!text) return failure_of(text);
  std::string_view rest = text->has_value() ? std::string_view(**text) : std::string_view();
  for (int line = 1; !rest.empty(); ++line) {
    const size_t end = rest.find('\n');
    const std::string_view entry = rest.substr(0, end);
    const size_t space = entry.find(' ');
    const auto expires_at = parse_number<int64_t>(entry.substr(std::min(space + 1, entry.size())));
    if (end == std::string_view::npos || space != kIdBytes * 2 || !expires_at) {
      return std::unexpected(ConfigError{.file = used_path_, .line = line, .reason = "this is not a used token"});
    }
    if (*expires_at > now) used_.emplace(entry.substr(0, space), *expires_at);
    rest.remove_prefix(end + 1);
  }
  return {};
}

Result<std::string> TokenIssuer::issue(const TokenRequest& request, int64_t now) const {
  if (request.lifetime_seconds < 1 || request.lifetime_seconds > kMaxTokenLifetimeSeconds) {
    return failure("a join token lives 1 second to 30 days");
  }
  if (request.spiffe_id.path().empty()) return failure("a join token is for a workload, not for a whole trust domain");
  if (!is_lower_hex(request.root_fingerprint, kFingerprintDigits)) {
    return failure("the root's fingerprint is not 64 lower-case hexadecimal digits");
  }
  if (!is_address(request.address)) return failure("the control plane's address is not host:port");
  auto id = secure_random(kIdBytes);
  if (!id) return id;
  const JoinToken token{.id = hex_encode(*id),
                        .spiffe_id = request.spiffe_id,
                        .expires_at = now + request.lifetime_seconds,
                        .root_fingerprint = request.root_fingerprint,
                        .address = request.address,
                        .single_use = request.single_use};
  const std::string text = std::string(kVersion) + base64url_encode(payload_of(token));
  auto mac = mac_of(text, key_);
  if (!mac) return mac;
  return text + "." + base64url_encode(*mac);
}

Result<JoinToken> TokenIssuer::check(std::string_view token, int64_t now) const {
  auto parts = split_token(token);
  if (!parts) return failure(kNotAToken);
  auto mac = mac_of(parts->signed_text, key_);
  if (!mac) return failure_of(mac);
  // In constant time, so that the answer's delay does not tell how much of a guess is right.
  if (CRYPTO_memcmp(mac->data(), parts->mac.data(), kMacBytes) != 0) return failure(kNotOurs);
  if (parts->token.expires_at <= now) {
    return failure("the join token " + parts->token.id + " expired at " + utc_text(parts->token.expires_at));
  }
  if (used_.contains(parts->token.id)) {
    return failure("the join token " + parts->token.id + " is for one use and was used already");
  }
  return std::move(parts->token);
}

Result<JoinToken> TokenIssuer::redeem(std::string_view token, int64_t now) {
  auto good = check(token, now);
  if (!good || !good->single_use) return good;
  if (auto ok = remember(*good, now); !ok) return failure_of(ok);
  return good;
}

Result<void> TokenIssuer::remember(const JoinToken& token, int64_t now) {
  std::erase_if(used_, [now](const auto& entry) { return entry.second <= now; });
  if (used_.size() >= kMaxUsedTokens) {
    return failure("too many single-use join tokens are in use; wait until some have expired");
  }
  used_.emplace(token.id, token.expires_at);
  auto written = replace_file(used_path_, used_text(used_));
  if (!written) used_.erase(token.id);
  return written;
}

}  // namespace pillion::certs
