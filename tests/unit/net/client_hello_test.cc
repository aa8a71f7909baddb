#include "proxy/net/client_hello.h"

#include <openssl/ssl.h>

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "proxy/net/tls_openssl.h"

using namespace pillion;
using State = net::ClientHello::State;

namespace {

// What OpenSSL would send.
std::string real_hello(const char* sni, std::string alpn, int version_max) {
  const net::SslCtxPtr ctx(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_max_proto_version(ctx.get(), version_max);
  const net::SslPtr ssl(SSL_new(ctx.get()));
  if (sni != nullptr) SSL_set_tlsext_host_name(ssl.get(), sni);
  SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(alpn.data()),
                      static_cast<unsigned>(alpn.size()));
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  CHECK(SSL_connect(ssl.get()) == -1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(SSL_get_wbio(ssl.get()), &data);
  return std::string(data, static_cast<size_t>(size));
}

// The same message in records of `piece` bytes.
std::string fragmented(std::string_view hello, size_t piece) {
  std::string out;
  for (std::string_view message = hello.substr(5); !message.empty();) {
    const std::string_view part = message.substr(0, piece);
    out += hello.substr(0, 3);
    out += static_cast<char>(part.size() >> 8);
    out += static_cast<char>(part.size());
    out += part;
    message.remove_prefix(part.size());
  }
  return out;
}

std::string u16(size_t n) {
  return {static_cast<char>(n >> 8), static_cast<char>(n)};
}

// A hello with these extensions, as bytes.
std::string hello_with(const std::string& extensions) {
  std::string body = std::string("\x03\x03", 2) + std::string(32, 'r') + std::string(1, '\0') + u16(2) + "\x13\x01" +
                     std::string("\x01\x00", 2) + u16(extensions.size()) + extensions;
  std::string message = std::string("\x01\x00", 2) + u16(body.size()) + body;
  return std::string("\x16\x03\x01", 3) + u16(message.size()) + message;
}

std::string extension(int type, const std::string& content) {
  return u16(static_cast<size_t>(type)) + u16(content.size()) + content;
}

std::string sni_of(const std::string& name, int type = 0) {
  const std::string entry = std::string(1, static_cast<char>(type)) + u16(name.size()) + name;
  return extension(0, u16(entry.size()) + entry);
}

}  // namespace

TEST_CASE("client_hello: name and protocols of real ones, in one record and in many, and not a byte too early") {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const std::string whole = real_hello("Web.Shop.Example", "\x02h2\x08http/1.1", version);
    for (const std::string& bytes : {whole, fragmented(whole, 100), fragmented(whole, 1)}) {
      for (size_t n = 0; n < bytes.size(); ++n) {
        CAPTURE(n);
        REQUIRE(net::parse_client_hello(std::string_view(bytes).substr(0, n)).state == State::need_more);
      }
      for (const char* behind : {"", "x", "\x16\x03"}) {
        const net::ClientHello hello = net::parse_client_hello(bytes + behind);
        REQUIRE(hello.state == State::complete);
        CHECK(hello.sni == "web.shop.example");
        CHECK(hello.alpn == std::vector<std::string>{"h2", "http/1.1"});
      }
    }
  }
  const net::ClientHello bare = net::parse_client_hello(real_hello(nullptr, "", TLS1_3_VERSION));
  CHECK(bare.state == State::complete);
  CHECK(bare.sni.empty());
  CHECK(bare.alpn.empty());
}

TEST_CASE("client_hello: what is not TLS is known by its first bytes") {
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\n"), std::string("PRI * HTTP/2.0"), std::string("\x16\x02"),
        std::string("\x17\x03\x03"), std::string("\x16\x03\x01\x00\x00", 5), std::string("\x16\x03\x01\x40\x01", 5),
        std::string("\x16\x03\x01\x00\x05\x02", 6)}) {
    CAPTURE(bytes);
    CHECK(net::parse_client_hello(bytes).state == State::not_tls);
  }
  CHECK(net::parse_client_hello("").state == State::need_more);
  CHECK(net::parse_client_hello("\x16").state == State::need_more);
}

TEST_CASE("client_hello: lengths that lie, doubles and empty names are refused") {
  struct Case {
    const char* name;
    std::string bytes;
    State state;
  };
  const std::string nul("a\0b", 3);
  for (const Case& c : std::vector<Case>{
           {"one name", hello_with(sni_of("a.b")), State::complete},
           {"no extension", hello_with(""), State::complete},
           {"another type of name", hello_with(sni_of("a.b", 7)), State::complete},
           {"an unknown extension", hello_with(extension(4711, "anything")), State::complete},
           {"two server_name extensions", hello_with(sni_of("a") + sni_of("b")), State::not_tls},
           {"an empty name", hello_with(sni_of("")), State::not_tls},
           {"a NUL in a name", hello_with(sni_of(nul)), State::not_tls},
           {"a long name", hello_with(sni_of(std::string(256, 'a'))), State::not_tls},
           {"a name longer than its list", hello_with(extension(0, u16(4) + '\0' + u16(9) + "a")), State::not_tls},
           {"an empty protocol", hello_with(extension(16, u16(1) + '\0')), State::not_tls},
           {"a protocol longer than its list", hello_with(extension(16, u16(2) + "\x09h")), State::not_tls},
           {"an extension longer than its block", hello_with(u16(4711) + u16(5) + "abc"), State::not_tls},
           {"half an extension", hello_with("\x01"), State::not_tls},
       }) {
    CAPTURE(c.name);
    CHECK(net::parse_client_hello(c.bytes).state == c.state);
  }
}

TEST_CASE("client_hello: one that is too long is refused by its header, also in the smallest records") {
  CHECK(net::parse_client_hello(std::string("\x16\x03\x01\x00\x04\x01\x01\x00\x00", 9)).state == State::not_tls);
  std::string slow;
  for (size_t i = 0; slow.size() <= net::ClientHello::kBytesMax; ++i) {
    slow += std::string("\x16\x03\x01\x00\x01", 5);
    slow += i == 2 ? '\xff' : static_cast<char>(i == 0);
  }
  CHECK(net::parse_client_hello(slow).state == State::not_tls);
}
