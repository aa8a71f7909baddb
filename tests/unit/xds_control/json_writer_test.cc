#include "xds/control/json_writer.h"

#include <doctest/doctest.h>

#include "xds/api/document.h"

using namespace pillion::xds;
using namespace pillion::xds::control;

TEST_CASE("json_writer: nesting, commas and numbers") {
  JsonWriter out;
  out.begin_object().field("a", 1).key("l").begin_list().text("x").begin_object().end_object().number(2).end_list();
  out.flag("f", false).key("e").begin_list().end_list().end_object();
  CHECK(out.take() == "{\"a\":1,\"l\":[\"x\",{},2],\"f\":false,\"e\":[]}\n");
}

TEST_CASE("json_writer: what a peer sent cannot break out of its text, and reads back") {
  struct Case {
    const char* name;
    std::string text;
    std::string back;
  };
  const Case kCases[] = {
      {"quotes and backslashes", R"(a"b\c)", R"(a"b\c)"},
      {"control characters", std::string("a\n\t\x01\0b", 6), std::string("a\n\t\x01\0b", 6)},
      {"UTF-8", "\xc3\xa4", "\xc3\xa4"},
      {"not UTF-8", "a\xff\xc3", "a\xef\xbf\xbd\xef\xbf\xbd"},
      {"empty", "", ""},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    JsonWriter out;
    out.begin_object().field("k", c.text).end_object();
    const auto documents = parse_documents(out.take(), "test.json", Format::json);
    REQUIRE(documents);
    REQUIRE(documents->size() == 1);
    CHECK(documents->front().root().find("k")->text == c.back);
  }
}
