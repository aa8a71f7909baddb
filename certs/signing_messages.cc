#include "certs/signing_messages.h"

#include <optional>

namespace pillion::certs {
namespace {

// https://protobuf.dev/programming-guides/encoding/
enum class WireType : uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

void put_varint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void put_bytes(std::string& out, uint32_t field, std::string_view bytes) {
  put_varint(out, field << 3 | static_cast<uint32_t>(WireType::bytes));
  put_varint(out, bytes.size());
  out.append(bytes);
}

std::optional<uint64_t> take_varint(std::string_view& rest) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (rest.empty()) return std::nullopt;
    const auto byte = static_cast<uint8_t>(rest.front());
    rest.remove_prefix(1);
    value |= uint64_t{byte & 0x7fu} << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}

std::optional<std::string_view> take_bytes(std::string_view& rest, uint64_t size) {
  if (size > rest.size()) return std::nullopt;
  const std::string_view out = rest.substr(0, size);
  rest.remove_prefix(size);
  return out;
}

struct Field {
  uint64_t number = 0;
  WireType type = WireType::varint;
  uint64_t value = 0;      // varint
  std::string_view bytes;  // of the other types
};

// The next field; nothing where the bytes are not a message.
std::optional<Field> take_field(std::string_view& rest) {
  const auto key = take_varint(rest);
  if (!key || *key >> 3 == 0) return std::nullopt;
  Field out{.number = *key >> 3, .type = static_cast<WireType>(*key & 7)};
  std::optional<std::string_view> bytes;
  switch (out.type) {
    case WireType::varint: {
      const auto value = take_varint(rest);
      if (!value) return std::nullopt;
      out.value = *value;
      return out;
    }
    case WireType::bytes: {
      const auto size = take_varint(rest);
      if (size) bytes = take_bytes(rest, *size);
      break;
    }
    case WireType::fixed64: bytes = take_bytes(rest, 8); break;
    case WireType::fixed32: bytes = take_bytes(rest, 4); break;
    default: break;
  }
  if (!bytes) return std::nullopt;
  out.bytes = *bytes;
  return out;
}

constexpr uint32_t kCsrField = 1;
constexpr uint32_t kValidityField = 3;
constexpr uint32_t kChainField = 1;
constexpr const char* kNotARequest = "this is not an istio.v1.auth.IstioCertificateRequest";
constexpr const char* kNotAResponse = "this is not an istio.v1.auth.IstioCertificateResponse";

}  // namespace

std::string encode(const SigningRequest& request) {
  std::string out;
  put_bytes(out, kCsrField, request.csr);
  if (request.lifetime_seconds != 0) {
    put_varint(out, kValidityField << 3 | static_cast<uint32_t>(WireType::varint));
    put_varint(out, static_cast<uint64_t>(request.lifetime_seconds));
  }
  return out;
}

Result<SigningRequest> decode_signing_request(std::string_view bytes) {
  SigningRequest out;
  if (bytes.size() > kMaxSigningMessageBytes) return failure("the request is larger than 1 MiB");
  while (!bytes.empty()) {
    const auto field = take_field(bytes);
    if (!field) return failure(kNotARequest);
    if (field->number == kCsrField && field->type == WireType::bytes) out.csr = field->bytes;
    if (field->number == kValidityField && field->type == WireType::varint) {
      out.lifetime_seconds = static_cast<int64_t>(field->value);
    }
  }
  return out;
}

std::string encode(const SigningResponse& response) {
  std::string out;
  constexpr std::string_view kEnd = "-----END CERTIFICATE-----\n";
  std::string_view rest = response.chain;
  while (!rest.empty()) {
    const size_t at = rest.find(kEnd);
    const size_t size = at == rest.npos ? rest.size() : at + kEnd.size();
    put_bytes(out, kChainField, rest.substr(0, size));
    rest.remove_prefix(size);
  }
  put_bytes(out, kChainField, response.trust_bundle);
  return out;
}

Result<SigningResponse> decode_signing_response(std::string_view bytes) {
  if (bytes.size() > kMaxSigningMessageBytes) return failure("the response is larger than 1 MiB");
  std::vector<std::string_view> elements;
  while (!bytes.empty()) {
    const auto field = take_field(bytes);
    if (!field) return failure(kNotAResponse);
    if (field->number == kChainField && field->type == WireType::bytes) elements.push_back(field->bytes);
  }
  if (elements.size() < 2) return failure("the response has no certificate with a root behind it");
  SigningResponse out;
  out.trust_bundle = elements.back();
  elements.pop_back();
  for (const std::string_view element : elements) {
    out.chain.append(element);
    if (!out.chain.ends_with('\n')) out.chain.push_back('\n');
  }
  return out;
}

}  // namespace pillion::certs
