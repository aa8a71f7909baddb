#include "proxy/http/message.h"

#include <doctest/doctest.h>

#include <string>

#include "proxy/http/detect.h"

using namespace pillion;
using namespace pillion::http;

namespace {

std::string dump(const HeaderMap& map) {
  std::string out;
  for (const Header& h : map) out += std::string(h.name) + "=" + std::string(h.value) + "|";
  return out;
}

}  // namespace

TEST_CASE("message: every known name is found in any case and nothing else is") {
  for (size_t i = 1; i < static_cast<size_t>(HeaderId::kCount); ++i) {
    const HeaderId id = static_cast<HeaderId>(i);
    std::string name(header_name(id));
    CAPTURE(name);
    CHECK(header_id(name) == id);
    for (size_t k = 0; k < name.size(); ++k) {
      std::string other = name;
      other[k] = '~';
      CHECK(header_id(other) == HeaderId::other);
    }
    for (char& c : name) c = static_cast<char>(std::toupper(c));
    CHECK(header_id(name) == id);
    CHECK(header_id(name + "x") == HeaderId::other);
  }
  CHECK(header_id("") == HeaderId::other);
  CHECK(header_id("x") == HeaderId::other);
  CHECK(header_name(HeaderId::other).empty());
}

TEST_CASE("message: set replaces in place, removes the others, and append joins") {
  Arena arena;
  HeaderMap map(arena);
  map.add("A", "1");
  map.add("Via", "x");
  map.add("a", "2");
  map.add("VIA", "y");
  map.set(HeaderId::via, "z");
  map.set("A", "3");
  CHECK(dump(map) == "A=3|Via=z|");
  map.append(HeaderId::via, "w");
  map.append(HeaderId::server, "s");
  CHECK(dump(map) == "A=3|Via=z,w|server=s|");
  CHECK(map.bytes() == 6 + 10 + 11);
  CHECK(map.remove("a") == 1);
  CHECK(map.remove(HeaderId::age) == 0);
  CHECK(map.size() == 2);
}

TEST_CASE("message: get_all joins every value of a name, in any case") {
  Arena arena;
  HeaderMap map(arena);
  CHECK(!map.get_all("x-a"));
  map.add("x-a", "1");
  CHECK(*map.get_all("X-A") == "1");
  map.add("b", "q");
  map.add("X-a", "");
  map.add("x-A", "2");
  CHECK(*map.get_all("x-a") == "1,,2");
  CHECK(map.get(HeaderId::host).empty());
}

TEST_CASE("message: tokens and field values are checked by their octets") {
  for (int c = 0; c < 256; ++c) {
    const std::string s(1, static_cast<char>(c));
    CAPTURE(c);
    CHECK(is_token(s) ==
          (std::isalnum(c) != 0 || (c != 0 && std::string("!#$%&'*+-.^_`|~").find(s) != std::string::npos)));
    CHECK(is_field_value(s) == (c == '\t' || (c >= 0x20 && c != 0x7f)));
  }
  CHECK(!is_token(""));
  CHECK(is_field_value(""));
}

TEST_CASE("message: small helpers") {
  Arena arena;
  CHECK(path_without_query("/a?b?c") == "/a");
  CHECK(query_of("/a?b?c") == "b?c");
  CHECK(query_of("/a").empty());
  CHECK(has_no_body("HEAD", 200));
  CHECK(has_no_body("GET", 304));
  CHECK(!has_no_body("GET", 200));
  CHECK(is_idempotent("PUT"));
  CHECK(!is_idempotent("POST"));
  struct Case {
    const char* type;
    bool grpc;
  };
  for (const Case& c :
       {Case{"application/grpc", true}, Case{"application/grpc+proto", true}, Case{"application/grpc; x", true},
        Case{"application/grpc-web", false}, Case{"text/plain", false}}) {
    CAPTURE(c.type);
    HeaderMap map(arena);
    map.add("Content-Type", c.type);
    CHECK(is_grpc(map) == c.grpc);
  }
}

TEST_CASE("detect: the first bytes tell HTTP/1, HTTP/2 and everything else") {
  struct Case {
    std::string bytes;
    Detected want;
  };
  const Case cases[] = {
      {std::string(kH2Preface), Detected::h2},
      {std::string(kH2Preface) + "\x00\x00", Detected::h2},
      {"GET / HTTP/1.1\r\n", Detected::h1},
      {"\r\nPROPFIND /a b HTTP/1.0\r\n", Detected::h1},
      {"GET /" + std::string(kDetectBytesMax, 'a'), Detected::h1},
      {"GET / HTTP/2.0\r\n", Detected::none},
      {"GET /\r\n", Detected::none},
      {"GETX / HTTP/1.1\r\n", Detected::none},
      {"PRI * HTTP/1.1\r\n\r\n", Detected::none},
      {"SSH-2.0-x\r\n", Detected::none},
      {"\x16\x03\x01", Detected::none},
      {std::string("GET \0", 5), Detected::none},
      {"", Detected::need_more},
      {"PR", Detected::need_more},
      {"PROPF", Detected::need_more},
      {"\r", Detected::need_more},
      {"GET / HTTP/1.1", Detected::need_more},
  };
  for (const Case& c : cases) {
    CAPTURE(c.bytes.substr(0, 40));
    CHECK(detect(c.bytes) == c.want);
    // An answer at a shorter prefix is the answer of the whole.
    for (size_t n = 0; n < c.bytes.size(); ++n) {
      const Detected early = detect(std::string_view(c.bytes).substr(0, n));
      if (early != Detected::need_more) CHECK(early == c.want);
    }
  }
}
