#include "proxy/http/fields.h"

#include <doctest/doctest.h>

#include <string>

using namespace pillion;
using namespace pillion::http;

namespace {

std::string shown(const HeaderMap& headers) {
  std::string out;
  for (const Header& h : headers) out += std::string(h.name) + "=" + std::string(h.value) + ";";
  return out;
}

}  // namespace

TEST_CASE("fields: a field is added, or joined where there can be only one") {
  Arena arena;
  HeaderMap headers(arena);
  for (const char* name : {"x-a", "x-a", "via", "via", "set-cookie", "set-cookie"}) append_field(name, "1", headers);
  CHECK(shown(headers) == "x-a=1;x-a=1;via=1,1;set-cookie=1;set-cookie=1;");
  remove_field("X-A", headers);
  remove_field("via", headers);
  CHECK(shown(headers) == "set-cookie=1;set-cookie=1;");
}

TEST_CASE("fields: pseudo-headers and a connection's own are left alone") {
  CHECK(may_change_field("x-a"));
  CHECK(may_change_field("via"));
  for (const char* name : {":path", "connection", "Transfer-Encoding", "content-length", "upgrade"}) {
    CAPTURE(name);
    CHECK_FALSE(may_change_field(name));
  }
}
